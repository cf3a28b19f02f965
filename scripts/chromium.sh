#!/usr/bin/env bash
# Makes sure that the browser tests find Chromium: PBXIM_TEST_CHROMIUM, else Debian's.
# `scripts/chromium.sh where` only prints the program's path, and fails when there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# The first is the same browser without windows: a third less work for the same tests.
PROGRAMS=(/usr/bin/chromium-headless-shell /usr/bin/chromium)

where() {
    local program
    for program in "${PBXIM_TEST_CHROMIUM:-}" "${PROGRAMS[@]}"; do
        if [ -n "$program" ] && [ -x "$program" ]; then printf '%s\n' "$program" && return; fi
    done
    return 1
}

if [ -n "${PBXIM_TEST_CHROMIUM:-}" ] && [ ! -x "$PBXIM_TEST_CHROMIUM" ]; then
    fail "PBXIM_TEST_CHROMIUM names $PBXIM_TEST_CHROMIUM, which is not a program that can be started"
fi

if [ "${1:-}" = where ]; then
    where || fail "there is no Chromium, neither of ${PROGRAMS[*]}" \
        "Install one: scripts/chromium.sh; or name one: PBXIM_TEST_CHROMIUM=/path/to/chromium"
    exit 0
fi

if where >/dev/null; then exit 0; fi

can_install || fail "the browser tests need Chromium, and there is neither of ${PROGRAMS[*]}" \
    "Debian: apt-get install chromium-headless-shell (as root)" \
    "Chromium or Chrome in another place: PBXIM_TEST_CHROMIUM=/path/to/chromium make test" \
    "Without a browser: make test-fast"
say "the browser tests need Chromium; installing Debian's package (about 100 MB)"
# Not every Debian has the first.
apt_install chromium-headless-shell || apt_install chromium ||
    fail "apt-get could not install chromium, see above"
where >/dev/null || fail "apt-get installed Chromium, but there is neither of ${PROGRAMS[*]}" \
    "Name the program: PBXIM_TEST_CHROMIUM=/path/to/chromium make test"
