"""The pages: server-rendered, usable without JavaScript, one module per page.

A page is a view function here, a template folder of the same name under ``templates/`` and its
sentences in ``texts.py``. A dialog is a page too: the browser shows its ``#confirm`` part in the
``<dialog>`` of ``layout.html``. ``docs/adr/0010-pages.md`` says why.
"""

from __future__ import annotations

from flask import Blueprint, Flask

from services.gateway.pages import (
    assets,
    billing,
    cards,
    checkout,
    errors,
    home,
    live,
    number,
    numbers,
    numbers_csv,
    office,
    orders,
    port_in,
    rendering,
    search,
    sign_in,
    welcome,
    you,
)
from services.gateway.surroundings import Gateway

_LISTS = (numbers, numbers_csv, live, number, port_in)
_BUYING = (search, checkout, orders, billing, cards)
_MODULES = (home, sign_in, welcome, you, *_LISTS, *_BUYING, *office.MODULES, assets)


def register(app: Flask, _surroundings: Gateway) -> None:
    """Adds all pages to the application. To be called last: it also shows the errors of the rest
    as pages to those who ask for pages."""
    blueprint = Blueprint("pages", __name__)
    for module in _MODULES:
        module.PAGES.add_to(blueprint)
    blueprint.register_error_handler(Exception, errors.on_error)
    blueprint.before_request(home.lead_staff_home)
    blueprint.after_request(rendering.remember_position)
    rendering.prepare(app)
    app.register_blueprint(blueprint)
    errors.answer_browsers(app)
