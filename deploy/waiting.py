"""How a process that eventlet has patched, which is what a nameko process is, waits for PostgreSQL.

eventlet lets the process's other calls work meanwhile. To change to them and back takes longer than
a question that is answered by one row of an index, so such a one is waited for as in any other
process, and for a millisecond at the most.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from psycopg2 import extensions

_MILLISECONDS = 1


def wait_briefly(select: Any) -> None:
    """From now on, by ``select`` as Python has it and not as eventlet has patched it. In a process
    that is not patched nothing changes."""
    others_work = extensions.get_wait_callback()
    if others_work is not None and not isinstance(others_work, partial):
        extensions.set_wait_callback(partial(_wait, others_work, select))


def _wait(others_work: Callable[[Any], None], select: Any, connection: Any) -> None:
    if getattr(connection, "brief", False):
        while (wanted := connection.poll()) == extensions.POLL_READ:
            poll = select.poll()
            poll.register(connection, select.POLLIN)
            if not poll.poll(_MILLISECONDS):
                break
        if wanted == extensions.POLL_OK:
            return
    others_work(connection)
