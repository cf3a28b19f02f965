"""Calls between services: through the codec, with a context, errors as themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from shared.errors import BadRequest, NotAllowed, NotFound, PbxError, Unprocessable
from shared.refusals import CODES, refusal
from shared.rpc import (
    OWNER,
    STAFF,
    SYSTEM,
    VIEWER,
    CallContext,
    LocalClient,
    dispatch,
    methods,
    rpc,
)
from tests.support.worlds import context


class Echo:
    """A service that says what it was told."""

    @rpc
    def echo(self, ctx: CallContext, **arguments: Any) -> dict[str, Any]:
        """Everything it got."""
        return {"account_id": ctx.account_id, "roles": list(ctx.roles), "got": arguments}

    @rpc
    def fail(self, _ctx: CallContext, code: str) -> None:
        """Raises what is asked for."""
        raise refusal(code, "No.", param="x", errors=({"param": "y"},), retry_after=2.0)

    @rpc
    def crash(self, _ctx: CallContext) -> None:
        """A mistake of the program."""
        raise ZeroDivisionError

    @rpc
    def count(self, _ctx: CallContext, names: Sequence[str], most: int | None = None) -> int:
        """Takes only what fits."""
        return min(len(names), most or len(names))

    def hidden(self, _ctx: CallContext) -> str:
        """Not for others."""
        return "seen"


@pytest.fixture
def client() -> LocalClient:
    return LocalClient({"echo": Echo()})


def test_a_call_brings_arguments_there_and_the_answer_back(client: LocalClient) -> None:
    answer = client.call("echo", "echo", context("acct_1"), number="+1", items=[{"n": 1}], no=None)

    assert answer == {
        "account_id": "acct_1",
        "roles": ["owner"],
        "got": {"number": "+1", "items": [{"n": 1}], "no": None},
    }


def test_arguments_arrive_as_they_would_over_a_wire(client: LocalClient) -> None:
    mine = {"tuple": (1, 2)}

    answer = client.call("echo", "echo", context(), mine=mine)

    assert answer["got"]["mine"] == {"tuple": [1, 2]}
    answer["got"]["mine"]["tuple"].append(3)
    assert mine == {"tuple": (1, 2)}


@pytest.mark.parametrize("code", ["invalid_value", "number_gone", "busy", "internal_error"])
def test_what_the_service_raises_is_raised_here(client: LocalClient, code: str) -> None:
    with pytest.raises(PbxError) as raised:
        client.call("echo", "fail", context(), code=code)

    error = raised.value
    assert type(error) is CODES[code].kind
    assert (error.code, error.detail, error.param) == (code, "No.", "x")
    assert (error.errors, error.retry_after) == (({"param": "y"},), 2.0)


@pytest.mark.parametrize(
    ("arguments", "code", "param"),
    [
        ({}, "missing_field", "names"),
        ({"names": ["a"], "least": 1}, "unknown_field", "least"),
        ({"names": "a"}, "invalid_value", "names"),
        ({"names": ["a", 5]}, "invalid_value", "names"),
        ({"names": None}, "invalid_value", "names"),
        ({"names": ["a"], "most": "1"}, "invalid_value", "most"),
        ({"names": ["a"], "most": 1.5}, "invalid_value", "most"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(
    client: LocalClient, arguments: dict[str, Any], code: str, param: str
) -> None:
    with pytest.raises(PbxError) as raised:
        client.call("echo", "count", context(), **arguments)

    assert (raised.value.code, raised.value.param) == (code, param)
    assert client.call("echo", "count", context(), names=["a", "b"], most=1) == 1


def test_a_mistake_of_the_program_is_not_dressed_up(client: LocalClient) -> None:
    with pytest.raises(ZeroDivisionError):
        client.call("echo", "crash", context())


def test_only_marked_methods_can_be_called(client: LocalClient) -> None:
    assert set(methods(Echo())) == {"echo", "fail", "crash", "count"}
    with pytest.raises(KeyError):
        client.call("echo", "hidden", context())


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"{}",
        b'{"context":null,"arguments":{}}',
        b'{"context":{"actor":"a"},"arguments":{}}',
        b'{"context":[],"arguments":{}}',
        b'{"context":{"account_id":7,"actor":"a","roles":[],"correlation_id":"r"}}',
        b"not json",
        b"",
    ],
)
def test_a_call_without_a_context_is_refused(request_bytes: bytes) -> None:
    with pytest.raises(BadRequest, match="context_missing"):
        dispatch(Echo().echo, request_bytes)


def test_a_context_crosses_the_wire_whole() -> None:
    full = context(traceparent="00-1-2-01", deadline=12.5, at_least=7, key="k", roles=(VIEWER,))

    assert msgspec.json.decode(msgspec.json.encode(full), type=CallContext) == full


def test_roles_are_asked_for() -> None:
    viewer, owner = context(roles=(VIEWER,)), context(roles=(OWNER,))
    for back_office in (context(roles=(STAFF,)), context(roles=(SYSTEM,))):
        assert back_office.staff
        back_office.require_staff()
        back_office.require_owner()
    owner.require_owner()

    assert not owner.staff
    for refused in (owner, viewer):
        with pytest.raises(NotAllowed, match="staff_only"):
            refused.require_staff()
    with pytest.raises(NotAllowed, match="role_required"):
        viewer.require_owner()


def test_a_key_makes_the_same_command_again() -> None:
    mine = context("acct_1", key="k").command_id("POST /orders")

    assert mine == context("acct_1", key="k", actor="user:u_2").command_id("POST /orders")
    others = {
        context("acct_2", key="k").command_id("POST /orders"),
        context("acct_1", key="l").command_id("POST /orders"),
        context("acct_1", key="k").command_id("POST /quotes"),
        context("acct_1", key="k").command_id("POST /orders", "part"),
    }
    assert len(others | {mine}) == 5


def test_a_command_without_a_key_is_refused() -> None:
    with pytest.raises(BadRequest, match="idempotency_key_missing"):
        context().command_id("POST /orders")


def test_errors_name_what_is_not_there() -> None:
    # The classes the gateway maps to 404 and 422: they must not be each other's parents.
    assert not issubclass(NotFound, Unprocessable)
    assert not issubclass(Unprocessable, NotFound)
