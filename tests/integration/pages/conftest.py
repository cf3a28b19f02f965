"""The pages in front of the real services, asked without a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.gateway import passwords
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


@pytest.fixture(scope="session", autouse=True)
def _passwords_cost_little() -> Iterator[None]:
    """Every visitor has one; what they cost in the product is seen in the gateway's tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_KIBIBYTES", 8)
        yield
