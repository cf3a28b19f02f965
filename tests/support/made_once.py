"""What is the same in every application of a process is made once: a test makes hundreds of them.

The schemas of the API's models, the code that werkzeug writes for each rule, SQL for tables and for
what is asked and written: SQLAlchemy keeps that for each engine, and each store has one.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from flask_openapi3 import utils
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from shared.stores import sqlite


@contextlib.contextmanager
def made_once() -> Iterator[None]:
    """For as long as the context lasts."""
    with contextlib.ExitStack() as patches:
        for place, name, made in (
            (utils, "get_model_schema", _schemas(utils.get_model_schema)),
            (Rule, "_compile_builder", _builders(Rule._compile_builder)),
            (ExecutableDDLElement, "_compiler", _tables(ExecutableDDLElement._compiler)),
            (sqlite, "_engine", _engines(sqlite._engine)),
            # All of them are made with the same options, so one's SQL is the other's.
            (SQLiteDialect_pysqlite, "__eq__", lambda mine, other: type(mine) is type(other)),
            (SQLiteDialect_pysqlite, "__hash__", lambda mine: hash(type(mine))),
        ):
            patches.enter_context(patch.object(place, name, made))
        yield


def _schemas(make: Callable[..., object]) -> Callable[..., object]:
    # Everybody gets a copy to change; unpickling is the fastest way to one.
    @functools.cache
    def pickled(*of: object, **more: object) -> bytes:
        return pickle.dumps(make(*of, **more))

    return lambda *of, **more: pickle.loads(pickled(*of, **more))


def _builders(make: Callable[..., object]) -> Callable[..., object]:
    # A function of the rule's text; what belongs to one map is its argument.
    known: dict[object, object] = {}

    def made(rule: Rule, append_unknown: bool = True) -> object:
        kinds = sorted((name, type(c).__name__) for name, c in rule._converters.items())
        key = (tuple(rule._trace), str(rule.defaults), str(kinds), append_unknown)
        if key not in known:
            known[key] = make(rule, append_unknown)
        return known[key]

    return made


def _tables(make: Callable[..., object]) -> Callable[..., object]:
    # The tables are constants of modules, so they are the same objects each time.
    known: dict[object, tuple[object, object]] = {}

    def made(statement: Any, dialect: Any, **more: Any) -> object:
        if type(statement) not in {CreateTable, CreateIndex}:
            return make(statement, dialect, **more)
        of = statement.element
        options = [*sorted(more.items()), getattr(statement, "include_foreign_key_constraints", 0)]
        key = (type(statement), id(of), dialect.name, statement.if_not_exists, str(options))
        if key not in known or known[key][0] is not of:
            known[key] = of, make(statement, dialect, **more)
        return known[key][1]

    return made


def _engines(make: Callable[..., Any]) -> Callable[..., Any]:
    statements = LRUCache(2000)

    def made(*of: object) -> Any:
        engine = make(*of)
        engine._compiled_cache = statements
        return engine

    return made
