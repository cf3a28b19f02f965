"""The one error tree. Each class says who should act; the code says on what.

    PbxError
    ├── Refusal               the caller changes the request
    │   ├── BadRequest        it cannot be understood
    │   ├── NotAuthenticated  say who you are
    │   ├── PaymentRequired   pay, or add a card
    │   ├── NotAllowed        ask somebody with the right role
    │   ├── NotFound          it is not there, or not yours
    │   ├── Conflict          it clashes with what has happened meanwhile
    │   ├── Gone              it was there and has ended
    │   ├── Stale             somebody edited it since you read it
    │   ├── TooLarge          send less
    │   ├── Unprocessable     understood, and against a rule
    │   └── RateLimited       slow down
    ├── Unavailable           try again later; nothing was done, or it is safe to repeat
    └── Broken                an operator looks: this must not happen in health

Codes are stable and listed with title and next step in ``shared/refusals.py``. Every error is
rebuilt from its arguments, so it crosses RPC as itself (``to_wire`` and ``from_wire``).
"""

from __future__ import annotations

from typing import Any, NoReturn


class PbxError(Exception):
    """Anything we raise on purpose.

    ``code`` is stable, ``detail`` is a sentence for a person, ``param`` names the field at fault,
    ``errors`` lists several faults at once, ``retry_after`` is in seconds.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        param: str | None = None,
        errors: tuple[dict[str, Any], ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.param = param
        self.errors = tuple(errors)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


class Refusal(PbxError):
    """The caller can mend it by asking for something else."""


class BadRequest(Refusal):
    """The request cannot be understood."""


class NotAuthenticated(Refusal):
    """Nobody we know is asking."""


class PaymentRequired(Refusal):
    """No way to pay, or the payment was declined."""


class NotAllowed(Refusal):
    """We know who asks, and the role does not allow it."""


class NotFound(Refusal):
    """No such thing, or it belongs to another account (we do not tell which)."""


class Conflict(Refusal):
    """It clashes with what happened meanwhile."""


class Gone(Refusal):
    """It existed and has ended."""


class Stale(Refusal):
    """The edit was made on an old version."""


class TooLarge(Refusal):
    """The request is bigger than we accept."""


class Unprocessable(Refusal):
    """Well formed, and against a rule."""


class RateLimited(Refusal):
    """Too many requests; see ``retry_after``."""


class Unavailable(PbxError):
    """Something we need is not there right now. Repeating the request is safe."""


class Broken(PbxError):
    """A promise inside the system does not hold; an operator has to look."""


_CLASSES: dict[str, type[PbxError]] = {
    cls.__name__: cls
    for cls in (
        BadRequest,
        NotAuthenticated,
        PaymentRequired,
        NotAllowed,
        NotFound,
        Conflict,
        Gone,
        Stale,
        TooLarge,
        Unprocessable,
        RateLimited,
        Unavailable,
        Broken,
    )
}


def raise_because(told: BaseException, error: BaseException) -> NoReturn:
    """Raises what is to be told because of an error, which may be the error itself: one that says
    it was caused by itself would send whoever shows it round in circles."""
    if told is error:
        raise error
    raise told from error


def kinds() -> tuple[type[PbxError], ...]:
    """The classes that are raised, the leaves of the tree."""
    return tuple(_CLASSES.values())


def to_wire(error: PbxError) -> dict[str, Any]:
    """The error as plain data, for RPC."""
    return {
        "kind": type(error).__name__,
        "code": error.code,
        "detail": error.detail,
        "param": error.param,
        "errors": list(error.errors),
        "retry_after": error.retry_after,
    }


def from_wire(data: dict[str, Any]) -> PbxError:
    """The error that ``to_wire`` took apart; an unknown kind becomes ``Broken``."""
    cls = _CLASSES.get(data["kind"], Broken)
    return cls(
        data["code"],
        data["detail"],
        param=data.get("param"),
        errors=tuple(data.get("errors") or ()),
        retry_after=data.get("retry_after"),
    )
