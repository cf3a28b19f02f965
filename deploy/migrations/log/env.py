"""Alembic's entry: runs the migrations on the connection that ``deploy.migrations`` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="log",
    transactional_ddl=True,
)
context.run_migrations()
