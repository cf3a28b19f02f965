"""A service for tests of the calls themselves: it echoes, dawdles and explodes."""

from __future__ import annotations

import time
from typing import Any

from deploy.nameko_services import nameko_class
from shared.rpc import CallContext, rpc
from shared.runtime import Runtime


class Odd:
    """Not of the product."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @rpc
    def echo(self, ctx: CallContext, thing: Any) -> dict[str, Any]:
        """What was said, and by whom."""
        return {"thing": thing, "account_id": ctx.account_id, "traceparent": ctx.traceparent}

    @rpc
    def dawdle(self, ctx: CallContext, seconds: float) -> float:
        """Takes its time."""
        time.sleep(seconds)
        return seconds

    @rpc
    def explode(self, ctx: CallContext) -> None:
        """Does what no service should."""
        raise ZeroDivisionError("the password is hush")


OddService = nameko_class("odd", Odd)
