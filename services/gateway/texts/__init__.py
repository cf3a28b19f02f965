"""Every sentence a customer reads on a page, under a name. English first.

Names are ``page.what``; values may hold ``{fields}`` for ``str.format``. No markup in here: what a
field holds is escaped by the template. A test finds names that are missing or not used any more.
Errors of the catalogue (``shared/refusals.py``) speak to programs; ``problem.<code>`` and
``problem.<code>.next`` say the same to a person, where the wording has to differ.
"""

from __future__ import annotations

from services.gateway.texts import (
    billing,
    cards,
    checkout,
    helping,
    numbers,
    office,
    orders,
    problems,
    search,
    sign_in,
    site,
    you,
)
from shared.refusals import CODES

_BUYING = (search, checkout, orders, billing, cards)
_MODULES = (site, sign_in, you, helping, numbers, *_BUYING, office, problems)
TEXTS: dict[str, str] = {
    name: sentence for module in _MODULES for name, sentence in module.TEXTS.items()
}


def text(name: str, **fields: object) -> str:
    """The sentence of a name. Raises ``KeyError`` for a name that is not in the catalogue."""
    return TEXTS[name].format(**fields)


def counted(name: str, count: int, **fields: object) -> str:
    """The sentence for one or for many: ``name.one`` or ``name.many``, with ``{count}``."""
    return text(f"{name}.one" if count == 1 else f"{name}.many", count=count, **fields)


def problem_title(code: str) -> str:
    """What a person reads as headline of an error."""
    known = CODES.get(code)
    return TEXTS.get(f"problem.{code}") or (known.title if known else code)


def problem_next(code: str) -> str:
    """What a person can do about an error; empty for a code this version does not know."""
    known = CODES.get(code)
    return TEXTS.get(f"problem.{code}.next") or (known.next_step if known else "")
