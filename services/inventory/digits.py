"""Which numbers of a block contain some digits: by arithmetic, without listing the block.

A number is a fixed beginning and some free digits at the end. The wanted digits can lie in the
beginning (then every number has them), over its end, or among the free digits; each such place
gives an arithmetic set of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator


def containing(first: int, last: int, fixed: str, wanted: str) -> range | list[int]:
    """The numbers from ``first`` to ``last`` whose decimal digits contain ``wanted``, in order."""
    if wanted in fixed:
        return range(first, last + 1)
    length = len(str(last))
    free = length - len(fixed)
    found: set[int] = set()
    for after in range(free):  # How many digits follow the wanted ones.
        found.update(_ending(first, last, fixed, wanted, after, free))
    return sorted(found)


def _ending(first: int, last: int, fixed: str, wanted: str, after: int, free: int) -> Iterator[int]:
    inside = min(len(wanted), free - after)  # How many of the wanted digits are free ones.
    over = wanted[: len(wanted) - inside]
    if not fixed.endswith(over):
        return
    before = free - after - inside  # Free digits in front of the wanted ones.
    base = int(fixed or "0") * 10**free + int(wanted[len(over) :]) * 10**after
    for front in range(10**before):
        low = base + front * 10 ** (after + inside)
        yield from range(max(low, first), min(low + 10**after - 1, last) + 1)
