#!/usr/bin/env bash
# Every check of the code, all at once: what they say is shown one after the other, and all of them
# are shown before it fails. mypy alone takes as long as the others together.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

VENV=.venv/bin
SHIPPED=(services shared deploy)
CHECKS=(
    "mypy --strict ${SHIPPED[*]}"
    "ruff check"
    "ruff format --check"
    "lint-imports --no-logo"
    "bandit -q -c pyproject.toml -r ${SHIPPED[*]}"
)

OUTPUTS=$(mktemp -d)
# Ctrl-C does not reach what runs in the background.
trap 'kill $(jobs -pr) 2>/dev/null || true; rm -rf "$OUTPUTS"' EXIT

running=()
for n in "${!CHECKS[@]}"; do
    # shellcheck disable=SC2086  # A check is a command and its arguments.
    "$VENV"/${CHECKS[n]} >"$OUTPUTS/$n" 2>&1 &
    running[n]=$!
done

failed=()
for n in "${!CHECKS[@]}"; do
    wait "${running[n]}" || failed+=("${CHECKS[n]}")
    printf '%s\n' "${CHECKS[n]}"
    cat "$OUTPUTS/$n"
done
if [ "${#failed[@]}" -gt 0 ]; then fail "refused by" "${failed[@]}"; fi
