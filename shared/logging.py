"""Log lines: a fixed word plus fields. Columns on a terminal, JSON elsewhere, nothing secret.

Ids, not objects; context (request, account, correlation) is bound once per piece of work.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_KEYS = re.compile(
    r"pass(word)?|secret|token|authorization|cookie|api_?key|pin$|card|cvc|email|first_name|last_name"
    r"|company_name|phone",
    re.IGNORECASE,
)
_SECRET_VALUES = re.compile(
    r"\b(?:sk|rk|pk|whsec|pbx)_(?:live_|test_)?[A-Za-z0-9_]{8,}|\b\d{13,19}\b"
    r"|[\w.+-]+@[\w-]+\.[\w.-]+"
)
_HIDDEN = "[hidden]"


def redact(
    _logger: object, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hides fields with telling names and values that look like keys, card numbers or e-mails."""
    for key, found in fields.items():
        if not key.startswith("_"):  # structlog's own, taken out before the line is written.
            fields[key] = _shown(found) if key == "event" else _redacted(key, found)
    return fields


def _redacted(key: object, found: Any) -> Any:
    return _HIDDEN if _SECRET_KEYS.search(str(key)) else _shown(found)


def _shown(found: Any) -> Any:
    match found:
        case None | bool() | int() | float():
            return found
        case dict():
            return {key: _redacted(key, inner) for key, inner in found.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown(inner) for inner in found]
        case BaseException():
            return _SECRET_VALUES.sub(_HIDDEN, repr(found))
        case _:
            return _SECRET_VALUES.sub(_HIDDEN, str(found))


def set_up(level: str, *, as_json: bool | None, process: str = "") -> None:
    """Configures structlog, and the standard library's logging to speak through it. ``process``
    names this one among those whose lines are read together."""
    json = not sys.stderr.isatty() if as_json is None else as_json
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        *_named(process),
        redact,
    ]
    columns = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    end: Any = structlog.processors.JSONRenderer() if json else columns
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared, end],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _adopt_standard_logging(shared, end, number)


def _named(process: str) -> list[Any]:
    def name(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> Any:
        return {"process": process, **fields}

    return [name] if process else []


def _adopt_standard_logging(shared: list[Any], end: Any, level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, end],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.WARNING))


def only_errors_of(name: str) -> None:
    """Silences the warnings of a library's logger."""
    logging.getLogger(name).setLevel(logging.ERROR)


def logger(name: str) -> Any:
    """A logger that says from where."""
    return structlog.get_logger(source=name)
