"""The pages in front of the real services, asked without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from services.gateway import passwords
from services.gateway.pages.office import clock
from shared.runtime import Progress
from tests.integration.gateway.sites import Site, make_site
from tests.integration.pages.visitors import Visitor, signed_in


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation with stock, without payments."""
    made = make_site(tmp_path_factory.mktemp("shop") / "data").stocked()
    yield made
    made.stop()


@pytest.fixture
def visitor(shop: Site) -> Visitor:
    """An owner of a new account, signed in."""
    return signed_in(shop)


def _briefly(wait: Callable[..., bool]) -> Callable[..., bool]:
    return lambda progress, names, position, _seconds=0: wait(progress, names, position, 0.05)


@pytest.fixture(scope="module", autouse=True)
def _no_cost_and_no_wait_in_vain() -> Iterator[None]:
    """Every visitor has a password; what it costs in the product is seen in the gateway's tests.
    And a page that waits for what no thread does would wait its whole time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_KIBIBYTES", 8)
        patch.setattr(Progress, "wait_for", _briefly(Progress.wait_for))
        patch.setattr(clock, "_WAIT_SECONDS", 0.05)
        yield
