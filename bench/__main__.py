"""``python -m bench [name…] [--quick] [--save]``: each measurement in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.machine import peak_mb
from bench.report import Figure, WrongAnswerError, save, surroundings, table
from bench.run import Run
from deploy.interpreter import tune_interpreter

# In this order, and with so many seconds at most.
MEASUREMENTS = {
    "log": 180,
    "postgres_log": 240,
    "search": 300,
    "purchases": 120,
    "rebuild": 200,
    "running": 90,
    "pages": 200,
}
# These start a dozen processes and more, and run only when they are asked for.
BY_NAME = {"postgres_views": 240, "relay": 180, "distributed": 840}
LIMITS = MEASUREMENTS | BY_NAME
_END_SECONDS = 90.0


def main() -> int:
    """Exit code 0, 1 if a measurement failed or gave a wrong answer."""
    asked = _arguments()
    if asked.measure:
        return _measure(asked.measure, Path(asked.work), quick=asked.quick)
    began, before = time.monotonic(), surroundings()
    work = Path(tempfile.mkdtemp(prefix="pbxim-bench-"))
    try:
        results = [_apart(name, work, quick=asked.quick) for name in asked.names or MEASUREMENTS]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    text = _report(results, before, time.monotonic() - began, quick=asked.quick)
    print(text)
    if asked.save:
        print(f"Written to {save(text)}.", file=sys.stderr)
    return int(any(error for _, error in results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        help=f"any of {', '.join(LIMITS)}; without a name all but {', '.join(BY_NAME)}",
    )
    parser.add_argument("--quick", action="store_true", help="small folders, a quarter of the time")
    parser.add_argument("--save", action="store_true", help="also write it to bench/results")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    unknown = sorted(set(asked.names) - set(LIMITS))
    if unknown:
        parser.error(f"there is no measurement {unknown[0]}")
    return asked


def _measure(name: str, work: Path, *, quick: bool) -> int:
    # The child's side: figures as JSON for the parent.
    tune_interpreter()  # As in the product.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that what was begun is ended.
    try:
        figures = importlib.import_module(f"bench.{name}").measure(Run(work, quick))
    except WrongAnswerError as error:
        print(f"{name}: WRONG ANSWER: {error}", file=sys.stderr)
        return 1
    answer = {"figures": [asdict(figure) for figure in figures], "peak_mb": peak_mb()}
    (work / f"{name}.json").write_text(json.dumps(answer))
    return 0


def _apart(name: str, work: Path, *, quick: bool) -> tuple[list[Figure], str]:
    print(f"{name} …", file=sys.stderr, flush=True)
    began = time.monotonic()
    command = [sys.executable, "-m", "bench", "--measure", name, "--work", str(work)]
    command += ["--quick"] * quick
    child = subprocess.Popen(command, start_new_session=True)
    try:
        code: int | str = child.wait(LIMITS[name])
    except subprocess.TimeoutExpired:
        code = f"not done after {LIMITS[name]} s"
    finally:
        _end(child)
    if code:
        return [], f"{name}: failed ({code}); its figures do not count"
    answer = json.loads((work / f"{name}.json").read_text())
    peak = _peak(name, answer["peak_mb"], time.monotonic() - began)
    return [*(Figure(**figure) for figure in answer["figures"]), peak], ""


def _end(child: subprocess.Popen[bytes]) -> None:
    # Told to, it ends what it started, also what has a session of its own; then its session goes.
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_END_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(_END_SECONDS)


def _peak(name: str, value: float, seconds: float) -> Figure:
    what = f"peak memory of the measurement “{name}”"
    return Figure(what=what, value=value, unit="MB", note=f"it took {seconds:.0f} s")


def _report(results: Sequence[Any], before: str, seconds: float, *, quick: bool) -> str:
    figures = [figure for found, _ in results for figure in found]
    errors = [error for _, error in results if error]
    kind = "Quick run: small folders, its figures are no reference. " if quick else ""
    return "\n\n".join([table(figures), f"{kind}{before} In {seconds:.0f} s.", *errors, ""])


if __name__ == "__main__":
    sys.exit(main())
