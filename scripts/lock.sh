#!/usr/bin/env bash
# Compiles requirements.txt, -kurrentdb.txt and -dev.txt from the .in files. Versions that are locked
# already stay, unless `--upgrade` is given. No index address may get into the files.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

command -v uv >/dev/null || fail "uv is needed to compile the requirements" \
    "It is on PyPI: pipx install uv"

compile() {
    quietly "compiling $1.txt" uv pip compile --universal --python-version 3.11 \
        --no-emit-index-url --no-strip-extras --generate-hashes "$1.in" -o "$1.txt" "${@:2}" ||
        fail "uv could not compile $1.in, see above"
}

pins() { grep -oE '^[A-Za-z0-9][^ ]*==[^ ]+' "$1" | sort; }

compile requirements "$@"
compile requirements-kurrentdb -c requirements.txt "$@"
compile requirements-dev "$@"

# The tests must run on what the program runs on.
for shipped in requirements.txt requirements-kurrentdb.txt; do
    differing=$(comm -23 <(pins "$shipped") <(pins requirements-dev.txt))
    if [ -n "$differing" ]; then
        fail "requirements-dev.txt has other versions than $shipped of:" $differing
    fi
done
if grep -nE '^ *(-i|--(extra-)?index-url|--find-links)|[a-z]+://' requirements*.txt; then
    fail "an address got into the requirements, see above"
fi
