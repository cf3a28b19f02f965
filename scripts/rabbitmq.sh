#!/usr/bin/env bash
# Makes sure that the tests of the bus find RabbitMQ's server: PBXIM_TEST_RABBITMQ, else Debian's.
# They start brokers of their own (tests/support/rabbitmq.py); one that Debian would start is kept down.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

if [ -n "${PBXIM_TEST_RABBITMQ:-}" ]; then
    [ -x "$PBXIM_TEST_RABBITMQ" ] ||
        fail "PBXIM_TEST_RABBITMQ names $PBXIM_TEST_RABBITMQ, which is not a program that can be started"
    exit 0
fi

# What Debian puts into the path turns into another user first; the program itself does not.
SERVER=/usr/lib/rabbitmq/bin/rabbitmq-server
if [ -x "$SERVER" ]; then exit 0; fi

can_install || fail "the tests of the bus need RabbitMQ 3.10 or newer, and there is no $SERVER" \
    "Debian: apt-get install rabbitmq-server (as root)" \
    "RabbitMQ in another place: PBXIM_TEST_RABBITMQ=/path/to/sbin/rabbitmq-server make test" \
    "Without a broker: make test-fast"

# Debian starts a service as soon as it is installed, unless this program says no (exit status 101).
POLICY=/usr/sbin/policy-rc.d
ASIDE=$POLICY.before-rabbitmq
allow_again() {
    rm -f "$POLICY"
    if [ -e "$ASIDE" ]; then mv "$ASIDE" "$POLICY"; fi
}
trap 'allow_again; if [ -n "$OUTPUT" ]; then rm -f "$OUTPUT"; fi' EXIT
if [ -e "$POLICY" ]; then mv "$POLICY" "$ASIDE"; fi
printf '#!/bin/sh\nexit 101\n' >"$POLICY"
chmod 755 "$POLICY"

say "the tests of the bus need RabbitMQ; installing Debian's package (about 50 MB)"
apt_install rabbitmq-server || fail "apt-get could not install rabbitmq-server, see above"
[ -x "$SERVER" ] || fail "apt-get installed rabbitmq-server, but there is no $SERVER" \
    "Name the program: PBXIM_TEST_RABBITMQ=/path/to/sbin/rabbitmq-server make test"
