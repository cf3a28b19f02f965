"""Accounts, users, API keys, sessions, mails."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from services.gateway.schemas.common import (
    Answer,
    Country,
    Email,
    Page,
    Path,
    ShortText,
    Strict,
)

Role = Literal["owner", "staff", "viewer"]
Password = Annotated[str, Field(min_length=1, max_length=1024)]
Code = Annotated[str, Field(pattern=r"^\d{6}$", description="Six digits of the authenticator")]


class AccountBody(Strict):
    """A new customer. The first owner is invited by mail."""

    name: ShortText
    email: Email
    country: Country
    time_zone: Annotated[str, Field(max_length=64, examples=["America/New_York"])] | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"


class Account(Answer):
    """A customer's account."""

    id: str
    name: str | None
    email: str | None
    country: str
    time_zone: str
    currency: str
    created_at: str | None = None


class OpenedAccount(Account):
    """The account with its first API key, which is not shown again."""

    api_key: str
    user_id: str


class Accounts(Page):
    """Accounts, newest first."""

    data: list[Account]


class AccountPath(Path):
    """An account."""

    account_id: str


class UserBody(Strict):
    """Somebody to invite. Staff may invite staff."""

    email: Email
    name: Annotated[str, Field(max_length=200)] = ""
    role: Role = "owner"


class User(Answer):
    """A user. ``invited`` until a password is chosen."""

    id: str
    email: str
    name: str
    role: Role
    status: Literal["active", "invited"]
    second_factor: bool
    created_at: str


class Users(Page):
    """Users, newest first."""

    data: list[User]


class UserPath(Path):
    """A user."""

    user_id: str


class KeyBody(Strict):
    """A key for programs."""

    name: Annotated[str, Field(max_length=100)] = ""
    role: Role = "owner"


class ApiKey(Answer):
    """A key without its secret; ``hint`` shows how it ends."""

    id: str
    name: str
    role: Role
    hint: str
    created_at: str
    rotated_at: str | None = None


class NewApiKey(ApiKey):
    """A key with its secret, which is not shown again."""

    api_key: str


class ApiKeys(Page):
    """Keys, newest first."""

    data: list[ApiKey]


class KeyPath(Path):
    """A key."""

    key_id: str


class TokenPath(Path):
    """The secret part of a link that works once."""

    token: str


class PasswordBody(Strict):
    """The chosen password: at least 15 characters."""

    password: Password


class NewPasswordBody(Strict):
    """The password that holds, and the one to come: at least 15 characters."""

    current_password: Password
    password: Password


class OpenSession(Answer):
    """A browser, or a program, that is signed in. ``current`` is the one that asks."""

    current: bool
    signed_in_at: str
    last_seen_at: str


class OpenSessions(Page):
    """Sessions that are open: the one that asks first, then the latest."""

    data: list[OpenSession]


class EndedSessions(Answer):
    """How many sessions were ended."""

    ended: int


class ResetBody(Strict):
    """Whose password is forgotten."""

    email: Email


class Accepted(Answer):
    """Said whether or not there is such a user."""

    status: Literal["accepted"]


class LoginBody(Strict):
    """Who signs in. ``totp`` where a second factor is enrolled."""

    email: Annotated[str, Field(min_length=1, max_length=254)]
    password: Password
    totp: Annotated[str, Field(max_length=16)] | None = None


class Session(Answer):
    """Who is signed in. ``csrf_token`` goes into the header X-CSRF-Token of what changes things."""

    user_id: str | None = None
    account_id: str
    role: Role
    email: str | None = None
    csrf_token: str | None = None
    must_enrol: bool = False


class TotpSecret(Answer):
    """A secret that comes into force with its first code."""

    secret: str
    uri: str


class TotpBody(Strict):
    """A code of the authenticator."""

    code: Code


class Mail(Answer):
    """A mail on its way out."""

    id: str
    kind: str
    to: str
    subject: str
    text: str
    link: str
    token: str
    created_at: str
    sent_at: str | None = None


class Mails(Page):
    """Mails, newest first."""

    data: list[Mail]
