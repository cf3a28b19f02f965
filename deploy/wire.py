"""What goes over AMQP between a caller and a nameko service: our JSON and our errors.

The JSON is that of ``LocalClient`` (msgspec), under the content type that everybody else's JSON has
as well. An error travels as nameko lets errors travel, by its class's path and its arguments; the
one argument is the text of ``to_wire``, which the table below makes an error of again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from shared import errors
from shared.errors import PbxError, from_wire, to_wire
from shared.refusals import refusal

CONTENT_TYPE = "application/json"


def encode(data: Any) -> str:
    """Data as JSON text."""
    return msgspec.json.encode(data).decode()


def decode(text: str | bytes) -> Any:
    """The data again."""
    return msgspec.json.decode(text)


def packed(error: PbxError) -> PbxError:
    """The error, ready for nameko, which sends ``args``."""
    error.args = (encode(to_wire(error)),)
    return error


def unpacked(text: str) -> PbxError:
    """The error that ``packed`` made ready."""
    return from_wire(decode(text))


# Where nameko finds what to make of an error: the class's path, as nameko writes it.
BY_PATH: dict[str, Callable[[str], PbxError]] = {
    f"{errors.__name__}.{cls.__name__}": unpacked for cls in errors.kinds()
}


def from_answer(error: dict[str, Any], method: str) -> PbxError:
    """The error of an answer, whoever made it: ours as it was, everything else as ``Broken``."""
    make = BY_PATH.get(error.get("exc_path", ""))
    if make is not None:
        return make(*error["exc_args"])
    if error.get("exc_type") in {"MethodNotFound", "IncorrectSignature", "MalformedRequest"}:
        return refusal("method_unknown", f"{method} cannot be called like this.")
    return refusal("internal_error")
