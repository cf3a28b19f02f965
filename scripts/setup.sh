#!/usr/bin/env bash
# Makes .venv ready: `scripts/setup.sh run` for running the program, `scripts/setup.sh test` for
# running and testing it. Does nothing when .venv already is what the requirements ask for.
#
# The stamp is written last. A set-up that was interrupted leaves its mark instead, and the next
# one begins with an empty .venv, because pip may have stopped in the middle of a package.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

WANTED=${1:-test}
VENV=.venv
STAMP=$VENV/.set-up
UNFINISHED=$VENV/.unfinished

case $WANTED in
    run) REQUIREMENTS=requirements.txt ;;
    test) REQUIREMENTS=requirements-dev.txt ;;
    *) fail "say 'run' or 'test', not '$WANTED'" ;;
esac

# Two set-ups at once would spoil each other: the second waits, then finds the work done.
if command -v flock >/dev/null; then
    exec 9<scripts/setup.sh
    flock --nonblock 9 || { say "another set-up is at work, waiting for it" && flock 9; }
fi

hash_of() { cat "$@" | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c 1-64; }

venv_version() { "$VENV/bin/python" -c 'import platform; print(platform.python_version())' 2>/dev/null; }

# One line: where, for whom, which Python, which packages, which project file.
stamp_for() {
    local files=(requirements.txt)
    if [ "$1" = test ]; then files+=(requirements-dev.txt); fi
    printf '%s %s %s %s %s\n' "$1" "$(venv_version)" "$(hash_of "${files[@]}")" \
        "$(hash_of pyproject.toml)" "$PWD"
}

is_ready() {
    [ -x "$VENV/bin/python" ] && [ -f "$STAMP" ] && [ ! -e "$UNFINISHED" ] || return 1
    local stamp
    stamp=$(cat "$STAMP")
    # A .venv made for the tests also serves for running.
    [ "$stamp" = "$(stamp_for test)" ] || { [ "$WANTED" = run ] && [ "$stamp" = "$(stamp_for run)" ]; }
}

find_python() {
    local candidate found=() candidates=(python3 python3.13 python3.12 python3.11)
    # Who names an interpreter gets that one or a refusal.
    if [ "${PYTHON:-python3}" != python3 ]; then candidates=("$PYTHON"); fi
    for candidate in "${candidates[@]}"; do
        command -v "$candidate" >/dev/null || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
        found+=("$candidate is $("$candidate" --version 2>&1 | tail -n 1)")
    done
    fail "Python 3.11 or newer is needed, and this is not it: ${candidates[*]}" ${found[@]+"${found[@]}"} \
        "Debian 12 and newer, Ubuntu 24.04 and newer: apt-get install python3 python3-venv" \
        "Another place: make PYTHON=/path/to/python3.11 ..."
}

# Debian's python3 comes without ensurepip, and then makes half a .venv and fails.
create_venv() {
    local python=$1
    rm -rf "$VENV" && mkdir "$VENV" && touch "$UNFINISHED" &&
        "$python" -m venv "$VENV" && "$VENV/bin/python" -m pip --version
}

make_venv() {
    local python package output
    python=$(find_python)
    if output=$(create_venv "$python" 2>&1 9>&-); then return; fi

    # Debian names the package after the interpreter, `python3-venv` for its default one.
    package=$(basename "$python")-venv
    [[ $package =~ ^python3(\.[0-9]+)?-venv$ ]] || package=python3-venv
    if ! grep -q ensurepip <<<"$output" && "$python" -c 'import ensurepip' 2>/dev/null; then
        printf '%s\n' "$output" | sed 's/^/  | /' >&2
        fail "$python -m venv $VENV failed, see above"
    fi
    can_install || fail "$python has no ensurepip, so it cannot make a virtual environment" \
        "Debian, Ubuntu: apt-get install $package (as root), then the same make command again"
    say "$python has no ensurepip; installing Debian's package $package"
    apt_install "$package" || fail "apt-get could not install $package, see above"
    if ! output=$(create_venv "$python" 2>&1 9>&-); then
        printf '%s\n' "$output" | sed 's/^/  | /' >&2
        fail "$python -m venv $VENV still fails with $package installed, see above"
    fi
}

needs_new_venv() {
    [ -d "$VENV" ] || return 0
    if [ -e "$UNFINISHED" ]; then
        say "the last set-up did not finish, beginning again"
    elif ! "$VENV/bin/python" -c 'import pip' 2>/dev/null; then
        say "$VENV does not work with the Python of this machine, making it anew"
    elif [ -f "$STAMP" ] && [[ $(cat "$STAMP") != *" $PWD" ]]; then
        say "$VENV was made in another folder, making it anew"
    else
        return 1
    fi
}

pip_install() {
    "$VENV/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --no-compile "$@"
}

# What nobody imports, or who does is not waited for: tables of cities and carriers, tools.
UNUSED='phonenumbers/(geodata|carrierdata|tzdata)/|site-packages/(pip|setuptools|mypy|mypyc|grpc_tools)/'

# pip would compile one file after the other. A few files that packages bring are no Python of today.
compile_packages() {
    "$VENV/bin/python" -m compileall -q -j 0 -x "$UNUSED" "$VENV"/lib/python3*/site-packages >/dev/null 2>&1 || true
}

install_listed() { pip_install --no-deps --require-hashes -r "$1"; }

# The lock names all there is, so nothing has to be resolved, and pip, which does one thing at a time,
# may run twice. It must not replace itself meanwhile: its own package comes first.
install_packages() {
    local lists one status=0
    lists=$(mktemp -d)
    # shellcheck disable=SC2064  # This folder. In a subshell, so the traps above stay.
    trap "kill \$(jobs -pr) 2>/dev/null || true; rm -rf '$lists'" EXIT
    for one in first left right; do : >"$lists/$one"; done
    awk -v lists="$lists" '
        /^[A-Za-z0-9]/ { to = /^(pip|setuptools)==/ ? "first" : (++n % 2 ? "left" : "right") }
        to { print > (lists "/" to) }' "$REQUIREMENTS"
    install_listed "$lists/first" || return
    install_listed "$lists/left" &
    one=$!
    install_listed "$lists/right" || status=$?
    wait "$one" || status=$?
    [ "$status" -eq 0 ] || return "$status"
    compile_packages
}

if is_ready; then exit 0; fi

command -v make >/dev/null || say "make is missing: apt-get install make (the commands are in the Makefile)"
if needs_new_venv; then make_venv; fi
touch "$UNFINISHED"
rm -f "$STAMP"

quietly "installing $REQUIREMENTS into $VENV (a minute or so the first time)" \
    install_packages ||
    fail "pip could not install $REQUIREMENTS, see above; the same make command tries again"
quietly "installing the project itself" \
    pip_install --no-deps --no-build-isolation --no-index --editable . ||
    fail "pip could not install the project, see above"

stamp_for "$WANTED" >"$STAMP.new"
mv "$STAMP.new" "$STAMP"
rm -f "$UNFINISHED"
