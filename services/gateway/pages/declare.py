"""Declares pages: address, method, who may see them. A module collects its own in ``PAGES``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Blueprint
from werkzeug.wrappers import Response

from services.gateway.declare import with_file
from services.gateway.identity import Who, may_call

Answer = str | Response
View = TypeVar("View", bound=Callable[..., Answer])


class Pages:
    """The pages of one module. A view's name is the page's name for ``url_for``."""

    def __init__(self) -> None:
        self._rules: list[tuple[str, str, Callable[..., Answer]]] = []

    def get(self, rule: str, who: Who = Who.MEMBER) -> Callable[[View], View]:
        """A page to look at."""
        return self._declare("GET", rule, who)

    def post(
        self, rule: str, who: Who = Who.BUYER, *, takes_file: bool = False
    ) -> Callable[[View], View]:
        """What a form of a page does; answers with a redirection to a page to look at.
        ``takes_file``: it may be as large as a file."""
        declared = self._declare("POST", rule, who)
        return (lambda view: declared(with_file(view))) if takes_file else declared

    def add_to(self, blueprint: Blueprint) -> None:
        """Registers them."""
        for method, rule, view in self._rules:
            blueprint.add_url_rule(rule, view.__name__, view, methods=[method])

    def _declare(self, method: str, rule: str, who: Who) -> Callable[[View], View]:
        def declared(view: View) -> View:
            self._rules.append((method, rule, view))
            return may_call(who)(view)

        return declared
