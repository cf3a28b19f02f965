"""The JSON schemas of the API's models, made once for all applications of a process."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator
from unittest.mock import patch

from flask_openapi3 import utils


@contextlib.contextmanager
def schemas_made_once() -> Iterator[None]:
    """An application makes them from its models, so they are the same each time."""
    made = functools.cache(utils.get_model_schema)

    def copied(*of: object, **more: object) -> object:
        return copy.deepcopy(made(*of, **more))

    with patch.object(utils, "get_model_schema", copied):
        yield
