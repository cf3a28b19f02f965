#!/usr/bin/env bash
# Makes sure that the tests find the servers they start for themselves: PostgreSQL 15 or newer.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

LEAST=15
has_postgres() {
    local initdb version
    for initdb in /usr/lib/postgresql/*/bin/initdb; do
        version=${initdb#/usr/lib/postgresql/}
        version=${version%%/*}
        if [ -x "$initdb" ] && [[ $version =~ ^[0-9]+$ ]] && [ "$version" -ge "$LEAST" ]; then
            return 0
        fi
    done
    return 1
}

# The package would make and start a cluster of its own, on the usual port, at every boot.
refuse_cluster() {
    local settings=/etc/postgresql-common/createcluster.conf
    if [ -e "$settings" ]; then return; fi
    mkdir -p "$(dirname "$settings")" && echo 'create_main_cluster = false' >"$settings"
}

can_run_as_postgres() { [ "$(id -u)" -ne 0 ] || { command -v setpriv && id postgres; } >/dev/null 2>&1; }

if ! has_postgres; then
    can_install || fail "the tests need PostgreSQL $LEAST or newer, and there is none in /usr/lib/postgresql/*/bin" \
        "Debian 12 and newer: apt-get install postgresql (as root)" \
        "Without a cluster of its own: first put create_main_cluster = false into /etc/postgresql-common/createcluster.conf"
    say "the tests need PostgreSQL; installing Debian's package (about 60 MB)"
    refuse_cluster
    apt_install postgresql || fail "apt-get could not install postgresql, see above"
    has_postgres || fail "apt-get installed postgresql, and it is older than $LEAST" \
        "Newer packages: https://wiki.postgresql.org/wiki/Apt"
fi
can_run_as_postgres || fail "PostgreSQL does not run as root: the tests need setpriv and the user postgres" \
    "Debian: apt-get install util-linux postgresql"
