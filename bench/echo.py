"""A nameko service that does nothing: what a call costs without us."""

from __future__ import annotations

from typing import Any

from nameko.rpc import rpc


class EchoService:
    """The peer of our calls."""

    name = "echo"

    @rpc  # type: ignore[untyped-decorator]  # nameko ships no types.
    def echo(self, context: dict[str, Any], said: str) -> str:  # noqa: ARG002  # As ours have it.
        """What was said."""
        return said
