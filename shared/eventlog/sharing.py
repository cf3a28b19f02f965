"""Writers of one process share commits: whoever gets the lock writes for all who wait, so sixteen
writers cost one commit and not sixteen (docs/adr/0007-shared-commits.md)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from shared.eventlog import Appended, Conflict, Entry

_JOBS_AT_ONCE = 256


class Job:
    """One caller's entries on their way through the shared commit."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.outcomes: list[Appended | Conflict] | None = None
        self.error: BaseException | None = None

    @property
    def ended(self) -> bool:
        """Whether the caller can be answered."""
        return self.outcomes is not None or self.error is not None

    def result(self) -> list[Appended | Conflict]:
        """The outcomes, one per entry; raises what went wrong."""
        if self.error is not None:
            raise self.error
        return self.outcomes or []


class SharedCommits:
    """``commit`` writes the entries of several jobs in one transaction and gives every job its
    outcomes or its own error. What it raises belongs to all of them: nothing was written then."""

    def __init__(self, commit: Callable[[Sequence[Job]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()

    def append(self, entries: Sequence[Entry]) -> list[Appended | Conflict]:
        """See ``EventLog.append_batch``. Waits for its turn, or until another wrote them."""
        job = Job(entries)
        self._waiting.append(job)
        with self._lock:
            while not job.ended:  # More may wait than one commit takes.
                self._commit_waiting()
        return job.result()

    def _commit_waiting(self) -> None:
        jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), _JOBS_AT_ONCE))]
        try:
            self._commit(jobs)
        except BaseException as error:
            for job in jobs:  # It belongs to every caller in this commit.
                job.outcomes, job.error = None, error
            if not isinstance(error, Exception):
                raise
