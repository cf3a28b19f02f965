#!/bin/sh
# Roles and database, by the image's entry point at the first start of an empty volume. The product's
# own role may add and read events and change nothing; the owner is for `pbxim migrate` alone.
set -eu

password() { cat "/run/secrets/$1"; }

psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set owner="$(password postgres_owner_password)" --set app="$(password postgres_app_password)" <<'SQL'
CREATE ROLE pbxim_app NOLOGIN;
CREATE ROLE pbxim_owner LOGIN PASSWORD :'owner';
CREATE ROLE pbxim LOGIN PASSWORD :'app' IN ROLE pbxim_app;
CREATE DATABASE pbxim OWNER pbxim_owner TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE pbxim FROM PUBLIC;
GRANT CONNECT ON DATABASE pbxim TO pbxim;
SQL
