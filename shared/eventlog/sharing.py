"""Writers of one process share commits: one of them writes for all who wait, so sixteen writers
cost a few commits and not sixteen (docs/adr/0007-shared-commits.md and 0014)."""

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
        self.leads = False
        self.called: threading.Event | None = None  # Made by who has to wait.

    def call(self) -> None:
        """It has ended, or it is its turn to lead."""
        if self.called is not None:
            self.called.set()

    def result(self) -> list[Appended | Conflict]:
        """The outcomes, one per entry; raises what went wrong."""
        if self.error is not None:
            raise self.error
        return self.outcomes or []


class SharedCommits:
    """``commit`` writes the entries of several jobs in one transaction and gives every job its
    outcomes or its own error. What it raises belongs to all of them: nothing was written then.

    One caller leads, which is to commit what waits; then the next who waits leads. Those who are
    done are called by name and do not queue for a lock first: queueing, they would come to the
    next commit one by one, and it would be made for two where fifteen want to write.
    """

    def __init__(self, commit: Callable[[Sequence[Job]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()  # Never held while something is written.
        self._waiting: deque[Job] = deque()
        self._led = False

    def append(self, entries: Sequence[Entry]) -> list[Appended | Conflict]:
        """See ``EventLog.append_batch``. Waits for its turn, or until another wrote them."""
        job = Job(entries)
        with self._lock:
            if self._led:
                job.called = threading.Event()
                self._waiting.append(job)
            self._led = True
        if job.called is None:  # Nobody led, so nobody waits.
            self._lead([job])
        else:
            self._wait(job, job.called)
        return job.result()

    def _wait(self, job: Job, called: threading.Event) -> None:
        try:
            called.wait()
        except BaseException:  # A signal. Nobody must wait for this caller to lead.
            with self._lock:
                if job in self._waiting:
                    self._waiting.remove(job)
            if job.leads:
                self._hand_over()
            raise
        if job.leads:
            self._lead(self._next())

    def _next(self) -> list[Job]:
        # Who leads waits in the first place, so its own job is among them.
        with self._lock:
            many = min(len(self._waiting), _JOBS_AT_ONCE)
            return [self._waiting.popleft() for _ in range(many)]

    def _lead(self, jobs: Sequence[Job]) -> None:
        try:
            self._commit(jobs)
        except BaseException as error:
            for job in jobs:  # It belongs to every caller in this commit.
                job.outcomes, job.error = None, error
            if not isinstance(error, Exception):
                raise
        finally:
            for job in jobs:
                job.call()
            self._hand_over()

    def _hand_over(self) -> None:
        with self._lock:
            self._led = bool(self._waiting)
            if self._led:
                self._waiting[0].leads = True
                self._waiting[0].call()
