"""Form-encoded bodies with brackets, as Stripe's libraries send them, and typed reading of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl

from deploy.payment_sandbox.errors import Json, Malformed

Pairs = list[tuple[str, str]]

_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")
MAX_DEPTH = 6
MAX_FIELDS = 1000
MAX_INT = 99_999_999  # Stripe's own limit for an amount in minor units


def pairs_of(text: bytes | str) -> Pairs:
    """Names and values of a query or a form body; raises Malformed when it is neither."""
    try:
        raw = text if isinstance(text, str) else text.decode("ascii")
        return parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        message = "Invalid request: the body must be form-encoded UTF-8."
        raise Malformed(message) from error


def tree_of(pairs: Iterable[tuple[str, str]]) -> Json:
    """`a[b]=1` becomes {"a": {"b": "1"}}; `a[]=1` and `a[0]=1` become {"a": ["1"]}."""
    root: Json = {}
    for name, value in pairs:
        _place(root, _path_of(name), value, name)
    return {name: _lists(branch) for name, branch in root.items()}


def _path_of(name: str) -> list[str]:
    match = _NAME.match(name)
    path = [match[1], *_PART.findall(match[2])] if match else []
    if not path or len(path) > MAX_DEPTH:
        raise Malformed(f"Invalid parameter name: {name[:100]}", "parameter_unknown", name[:100])
    return path


def _place(root: Json, path: list[str], value: str, name: str) -> None:
    branch = root
    for part in path[:-1]:
        branch = branch.setdefault(part, {})
        if not isinstance(branch, dict):
            raise Malformed(f"Invalid {name}: both a value and a hash", param=name)
    last = path[-1] or str(len(branch))
    if isinstance(branch.get(last), dict):
        raise Malformed(f"Invalid {name}: both a value and a hash", param=name)
    branch[last] = value


def _lists(branch: object) -> object:
    if not isinstance(branch, dict):
        return branch
    inner = {name: _lists(value) for name, value in branch.items()}
    if inner and all(name.isascii() and name.isdigit() and len(name) < 5 for name in inner):  # noqa: PLR2004  # Named by its context.
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


class Params:
    """The parameters of one request; every getter raises Malformed with Stripe's code."""

    def __init__(self, tree: Json) -> None:
        self.tree = tree

    def only(self, allowed: frozenset[str]) -> None:
        """Refuse names that the route does not know, as Stripe does."""
        for name in self.tree:
            if name not in allowed:
                raise Malformed(f"Received unknown parameter: {name}", "parameter_unknown", name)

    def text(self, name: str) -> str | None:
        """The value, or None when it was not sent."""
        value = self.tree.get(name)
        if value is None or isinstance(value, str):
            if value == "":
                message = f"You passed an empty string for '{name}'."
                raise Malformed(message, "parameter_invalid_empty", name)
            return value
        raise Malformed(f"Invalid string: {name}", "parameter_invalid_string", name)

    def need(self, name: str) -> str:
        """The value of a parameter that must be there."""
        value = self.text(name)
        if value is None:
            raise Malformed(f"Missing required param: {name}.", "parameter_missing", name)
        return value

    def whole(self, name: str) -> int | None:
        """A whole number from 0 to 99,999,999 (amounts are in minor units), or None."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise Malformed(f"Invalid integer: {value[:50]}", "parameter_invalid_integer", name)
        if not 0 <= int(value) <= MAX_INT:
            message = f"Invalid {name}: must be between 0 and {MAX_INT}"
            raise Malformed(message, "parameter_invalid_integer", name)
        return int(value)

    def seconds(self, name: str) -> int | None:
        """A moment in whole seconds since 1970, or None."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,12}", value):
            raise Malformed(f"Invalid timestamp: {value[:50]}", "parameter_invalid_integer", name)
        return int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean."""
        value = self.text(name)
        if value not in {None, "true", "false", "True", "False"}:
            raise Malformed(f"Invalid boolean: {value}", param=name)
        return default if value is None else value.lower() == "true"

    def choice(self, name: str, options: tuple[str, ...]) -> str | None:
        """One of `options`, or None."""
        value = self.text(name)
        if value is not None and value not in options:
            message = f"Invalid {name}: must be one of {', '.join(options)}"
            raise Malformed(message, param=name)
        return value

    def branch(self, name: str) -> Params:
        """The parameters inside `name[...]`; empty when there are none."""
        value = self.tree.get(name, {})
        if not isinstance(value, dict):
            raise Malformed("Invalid object", "parameter_invalid_empty", name)
        return Params(value)

    def texts(self, name: str) -> list[str]:
        """The values of `name[]`, or of a single `name`."""
        value = self.tree.get(name, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
            raise Malformed("Invalid array", param=name)
        return values

    def metadata(self) -> dict[str, str]:
        """At most 50 texts of 500 characters under names of 40, Stripe's limits."""
        found = self.branch("metadata").tree if self.tree.get("metadata") else {}
        for name, value in found.items():
            if not isinstance(value, str) or len(name) > 40 or len(value) > 500 or len(found) > 50:  # noqa: PLR2004  # Named by its context.
                raise Malformed("Invalid metadata", param=f"metadata[{name}]")
        return {name: value for name, value in found.items() if value}
