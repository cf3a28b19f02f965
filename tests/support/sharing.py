"""Which tests one worker runs one after the other, and what begins first.

A product with all its processes, a broker, a database server, a browser: what takes seconds to
start is started by one worker, for all tests that want it. With `--dist loadgroup` the tests of a
group stay together; a worker that is free takes the next group.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

import pytest
from _pytest.nodeid import NodeId

# In this order: what takes longest begins first, or all others would wait for it at the end.
_PRODUCTS = ("distributed", "pages", "embedded")
_SERVERS = ("broker",)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Marks before the plugin that reads the marks, and sorts after all others."""
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
    yield
    for item in items:
        _grouped_by_its_id(item)
    items.sort(key=lambda item: _rank(groups[item]))


def _grouped_by_its_id(item: pytest.Item) -> None:
    # xdist 3.8 tells its scheduler the group by the id's end, and writes it where pytest 9.2 no
    # longer reads it (test_sharing.py).
    given = getattr(item, "_nodeid", None)
    if given is not None:
        item._id = NodeId.parse(given)


def _group(item: pytest.Item) -> str | None:
    """The product or server that it shares, else its module. What is slow stands alone."""
    wanted = getattr(item, "fixturenames", ())
    runtime = item.callspec.params.get("product") if hasattr(item, "callspec") else None
    if runtime in _PRODUCTS:
        return str(runtime)
    if "embedded" in wanted:  # The tests that have nothing to do with the other runtime.
        return "pages"
    for name in ("distributed", *_SERVERS):
        if name in wanted:
            return name
    return None if item.get_closest_marker("slow") else PurePath(item.path).stem


def _rank(group: str | None) -> int:
    if group in _PRODUCTS:
        return _PRODUCTS.index(group)
    return len(_PRODUCTS) + (group is not None)
