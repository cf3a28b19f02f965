"""Parts that many models share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

Country = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
NumberType = Literal["geographic", "national", "mobile", "toll_free"]


def _no_controls(text: str) -> str:
    # Line breaks and tabs are text; the other control characters only hide things.
    if any(ord(sign) < ord(" ") and sign not in "\n\r\t" for sign in text):
        kind = "control_character"
        raise PydanticCustomError(kind, "Control characters are not accepted")
    return text


def _empty_is_absent(found: Any) -> Any:
    return None if found == "" else found


Text = Annotated[str, AfterValidator(_no_controls)]
ShortText = Annotated[Text, Field(min_length=1, max_length=200)]
Email = Annotated[
    str,
    Field(pattern=r"^[^@\s\x00-\x1f<>,;:\"]+@[^@\s\x00-\x1f<>,;:\"]+\.[A-Za-z0-9-]{2,}$"),
    Field(min_length=6, max_length=254, description="An e-mail address"),
]
# In a query string an empty field of a search form says nothing.
Maybe = Annotated[Annotated[str, Field(max_length=200)] | None, BeforeValidator(_empty_is_absent)]


class Strict(BaseModel):
    """A JSON body: no other fields, no guessing of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """Query parameters; unknown ones are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Path(BaseModel):
    """Parts of the path."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """An object in an answer; more fields may come with later versions."""

    model_config = ConfigDict(extra="allow")


class Nothing(Strict):
    """A body without fields: ``{}`` or none at all."""


class Money(Answer):
    """An amount as a decimal string with up to six decimals."""

    amount: str = Field(examples=["1.26"])
    currency: str = Field(examples=["USD"], description="ISO 4217")


class MoneyIn(Strict):
    """An amount, as it is sent."""

    amount: str = Field(pattern=r"^\d{1,9}(\.\d{1,6})?$", examples=["1.26"])
    currency: str = Field(pattern="^[A-Z]{3}$")


class Fault(Answer):
    """One of several faults of a request."""

    code: str
    param: str | None = None
    detail: str


class Problem(Answer):
    """An error: RFC 9457. ``code`` is stable; ``next_step`` says what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    param: str | None = None
    request_id: str
    errors: list[dict[str, Any]]
    next_step: str


class Paging(Query):
    """Where to go on in a list, and how far."""

    limit: int = Field(20, ge=1, le=100)
    cursor: Maybe = None


class Page(Answer):
    """What every list says besides its rows."""

    has_more: bool
    next_cursor: str | None = None


def page(found: dict[str, Any]) -> dict[str, Any]:
    """A service's list as the API shows it."""
    cursor = found.get("next")
    return {"data": found["data"], "has_more": cursor is not None, "next_cursor": cursor}
