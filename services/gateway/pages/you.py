"""Your sign-in: who is signed in and where, password and second factor of that person. For
everybody.

The secret stands on one page alone, the one where its first code is typed, and in no address.
"""

from __future__ import annotations

from flask import g, request
from werkzeug.wrappers import Response

from services.gateway import second_factor, totp
from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.paths import go, own_path, with_query
from services.gateway.pages.rendering import page
from services.gateway.problems import read
from services.gateway.qr import qr_code
from services.gateway.routes import users as api
from services.gateway.schemas.common import Nothing
from services.gateway.schemas.people import NewPasswordBody, TotpBody
from services.gateway.surroundings import gateway
from shared.errors import PbxError

PAGES = Pages()
YOU = "/you"
_PASSWORD = "/you/password"  # nosec B105  # A path.
_FACTOR = "/you/second-factor"
_NOTICES = ("changed", "ended", "removed")
_UNPROCESSABLE = 422
_GROUP = 4
# What is wrong with a code is said next to its field.
_SAID = {"invalid_value": "you.code.form", "totp_wrong": "you.code.wrong"}


@PAGES.get(YOU, Who.SIGNED_IN)
def show_you() -> Answer:
    """Who is signed in, and whether with a second factor."""
    return page(
        "you/you.html",
        user=api.shown(api.me()),
        target=_target(),
        said=next((name for name in _NOTICES if name in request.args), None),
        sessions=api.list_sessions()["data"],
    )


@PAGES.get(_PASSWORD, Who.SIGNED_IN)
def show_password() -> Answer:
    """Asks for the password that holds, and for another."""
    api.me()
    return go(YOU) if g.caller.looking else page("you/password.html", problem=None)


@PAGES.post(_PASSWORD, Who.SIGNED_IN)
def change_password() -> Answer:
    """Changes it; all other sessions end."""
    api.me()
    current, password = request.form.get("current", ""), request.form.get("password", "")
    if password != request.form.get("repeat", ""):
        return _password_again({"field": "repeat", "name": "welcome.differ", "detail": ""})
    try:
        api.change_password(read(NewPasswordBody, current_password=current, password=password))
    except PbxError as error:
        return _password_again(_about_password(error))
    return go(YOU, changed="1")


@PAGES.post("/you/sessions", Who.SIGNED_IN)
def end_other_sessions() -> Answer:
    """Signs out everywhere else."""
    api.end_other_sessions()
    return go(YOU, ended="1")


@PAGES.post(_FACTOR, Who.SIGNED_IN)
def begin_second_factor() -> Answer:
    """Makes a new secret; the page that follows shows it."""
    try:
        api.enrol_second_factor(Nothing())
    except PbxError as error:
        if error.code != "totp_enrolled":
            raise
        return go(YOU)
    return go(_FACTOR, next=_target())


@PAGES.get(_FACTOR, Who.SIGNED_IN)
def show_second_factor() -> Answer:
    """The secret that waits for its first code."""
    return _set_up()


@PAGES.post("/you/second-factor/code", Who.SIGNED_IN)
def confirm_second_factor() -> Answer:
    """Puts the second factor in force, and goes on to where the person wanted to go."""
    if api.me().totp_secret is None:  # Else the form was sent twice.
        try:
            api.confirm_second_factor(read(TotpBody, code=_code()))
        except PbxError as error:
            return _set_up(_said(error))
    return go(_target() or YOU, enrolled="1")


@PAGES.get("/you/second-factor/removal", Who.SIGNED_IN)
def show_factor_removal() -> Answer:
    """Asks for a code before the second factor is removed; a dialog where there is JavaScript."""
    return _removal()


@PAGES.post("/you/second-factor/removal", Who.SIGNED_IN)
def remove_second_factor() -> Answer:
    """Takes the second factor away."""
    try:
        api.remove_second_factor(read(TotpBody, code=_code()))
    except PbxError as error:
        return _removal(_said(error))
    return go(YOU, removed="1")


def _set_up(problem: str | None = None) -> Response:
    user = api.me()
    secret = second_factor.pending(gateway().wrapper, user)
    if secret is None or g.caller.looking:
        return go(YOU, next=_target())
    answer = page(
        "you/set_up.html",
        _UNPROCESSABLE if problem else 200,
        qr=qr_code(totp.uri(secret, user.email)),
        secret=secret,
        groups=[secret[at : at + _GROUP] for at in range(0, len(secret), _GROUP)],
        problem=problem,
        target=_target(),
        back=with_query(YOU, next=_target()),
    )
    return _kept(answer) if problem else answer


def _removal(problem: str | None = None) -> Response:
    if api.me().totp_secret is None or g.caller.looking:
        return go(YOU)
    needed = g.caller.staff and not gateway().settings.sandbox
    status = _UNPROCESSABLE if problem else 200
    answer = page("you/removal.html", status, problem=problem, needed=needed)
    return _kept(answer) if problem else answer


def _password_again(problem: dict[str, str]) -> Response:
    return _kept(page("you/password.html", _UNPROCESSABLE, problem=problem))


def _about_password(error: PbxError) -> dict[str, str]:
    """Which field is wrong, and how that is said. Raises the error again where it is none."""
    if error.code == "password_too_weak":
        return {"field": "password", "name": "", "detail": error.detail}
    if error.code in {"credentials_wrong", "invalid_value", "missing_field"}:
        return {"field": "current", "name": "you.password.wrong", "detail": ""}
    raise error


def _kept(answer: Response) -> Response:
    """A form that is shown again: the address stays that of the form."""
    answer.headers["HX-Push-Url"] = "false"
    return answer


def _said(error: PbxError) -> str:
    """The sentence about a code. Raises the error again where it is about something else."""
    if error.code not in _SAID:
        raise error
    return _SAID[error.code]


def _code() -> str:
    return "".join(request.form.get("code", "").split())


def _target() -> str:
    """Where the person wanted to go; empty where that was here."""
    return own_path(request.values.get("next"), "")
