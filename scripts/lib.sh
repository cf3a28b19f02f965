# shellcheck shell=bash
# Shared by the scripts next to it.

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*"; }

fail() {
    printf '%s: %s\n' "$(basename "$0" .sh)" "$1" >&2
    shift
    if [ "$#" -gt 0 ]; then printf '  %s\n' "$@" >&2; fi
    exit 1
}

OUTPUT=
trap 'if [ -n "$OUTPUT" ]; then rm -f "$OUTPUT"; fi' EXIT
trap 'printf "\n"; say interrupted >&2; exit 130' INT TERM

# quietly <label> <command...>: one line of progress; the command's output only when it fails.
quietly() {
    local label=$1 started=$SECONDS status=0
    shift
    OUTPUT=$(mktemp)
    printf '%s: %s ... ' "$(basename "$0" .sh)" "$label"
    # A subshell, so that "interrupted" above is not written into the command's output.
    ("$@") >"$OUTPUT" 2>&1 9>&- || status=$?
    if [ "$status" -eq 0 ]; then
        printf 'done in %s s\n' "$((SECONDS - started))"
    else
        printf 'FAILED (exit status %s)\n' "$status"
        sed 's/^/  | /' "$OUTPUT" >&2
    fi
    rm -f "$OUTPUT"
    return "$status"
}

can_install() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

# apt_install <package>: the Debian package, without questions and without recommended extras.
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    quietly "apt-get update" apt-get update &&
        quietly "apt-get install $1" apt-get install --yes --no-install-recommends "$1"
}
