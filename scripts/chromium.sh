#!/usr/bin/env bash
# Makes sure that the browser tests find Chromium: PBXIM_TEST_CHROMIUM, else /usr/bin/chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

if [ -n "${PBXIM_TEST_CHROMIUM:-}" ]; then
    [ -x "$PBXIM_TEST_CHROMIUM" ] ||
        fail "PBXIM_TEST_CHROMIUM names $PBXIM_TEST_CHROMIUM, which is not a program that can be started"
    exit 0
fi

CHROMIUM=/usr/bin/chromium
if [ -x "$CHROMIUM" ]; then exit 0; fi

can_install || fail "the browser tests need Chromium, and there is no $CHROMIUM" \
    "Debian: apt-get install chromium (as root)" \
    "Chromium or Chrome in another place: PBXIM_TEST_CHROMIUM=/path/to/chromium make test" \
    "Without a browser: make test-fast"
say "the browser tests need Chromium; installing Debian's package (about 100 MB)"
apt_install chromium || fail "apt-get could not install chromium, see above"
[ -x "$CHROMIUM" ] || fail "apt-get installed chromium, but there is no $CHROMIUM" \
    "Name the program: PBXIM_TEST_CHROMIUM=/path/to/chromium make test"
