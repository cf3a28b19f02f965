"""What was played, as text."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.distributed.run import Row

_MOST_WORDS = 12
_HEAD = (
    f"{'scenario':<22}{'seed':>7}{'acked':>7}{'repeats':>8}{'kills':>6}{'points':>9}"
    f"{'lost':>5}{'doubled':>8}{'wrong':>6}{'recovery':>9}{'s':>5}  verdict"
)


def table(rows: Sequence[Row], *, head: bool, total: bool = False) -> str:
    """A line per scenario, and below it what was wrong."""
    lines = [_HEAD] if head else []
    for row in rows:
        lines.append(_line(row))
        lines += [f"    {note}" for note in row.run.notes]
        if not row.passed or row.bites:
            lines += [f"    {found[:600]}" for found in row.verdict.all()[:_MOST_WORDS]]
    if total:
        acked = sum(row.acknowledged for row in rows)
        kills = sum(row.run.kills for row in rows)
        lines.append(f"{'in all':<29}{acked:>7}{'':>8}{kills:>6}")
    return "\n".join(lines)


def _line(row: Row) -> str:
    run, verdict = row.run, row.verdict
    repeats = sum(c.notes.repeats for c in run.load.everybody())
    points = f"{len(run.reached)}/{len(run.planned)}" if run.planned else "-"
    slowest = f"{max(run.recovery):.1f}" if run.recovery else "-"
    words = "passed" if row.passed else "FAILED"
    if row.bites is not None:
        words = "bites" if row.bites else "DOES NOT BITE"
    return (
        f"{row.name:<22}{row.seed:>7}{row.acknowledged:>7}{repeats:>8}{run.kills:>6}{points:>9}"
        f"{len(verdict.lost):>5}{len(verdict.doubled):>8}{len(verdict.wrong):>6}{slowest:>9}"
        f"{row.seconds:>5.0f}  {words}"
    )
