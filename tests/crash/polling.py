"""Somebody who logs in every 100 ms with what the store holds, whatever happens meanwhile.

That is the current value; where a service knows one password only, the pending one counts too: between its two paths
the store has at every instant one that is taken.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from infra_ops.models.credentials import Answer, Login
from tests.lab.end_to_end.managed import Managed

EVERY = 0.1  # seconds


@dataclass
class Polled:
    """Answers to the logins of one credential; `longest` is the longest login, in seconds."""

    answers: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0

    def add(self, login: Login, seconds: float) -> None:
        self.answers[f"{login.answer.value} {login.code}".strip()] += 1
        self.longest = max(self.longest, seconds)

    def __str__(self) -> str:
        return f"{self.answers.total()} logins, {self.failed() or 'none'} failed, the longest took {self.longest:.2f} s"

    def failed(self) -> dict[str, int]:
        """The answers that were no yes."""
        return {answer: count for answer, count in self.answers.items() if not answer.startswith(Answer.ACCEPTED)}

    def accepted(self) -> int:
        """How often the service said yes."""
        return self.answers.total() - sum(self.failed().values())

    def refused(self) -> int:
        """How often the service said no; a connection that was cut is no answer."""
        return sum(count for answer, count in self.answers.items() if answer.startswith(Answer.REFUSED))


class Poll:
    """Polls every credential in a thread of its own, until the block ends."""

    def __init__(self, credentials: Managed, ids: Sequence[str]) -> None:
        self._end = threading.Event()
        self.polled = {id_: Polled() for id_ in ids}
        self._logins = {id_: _login(credentials, id_) for id_ in ids}
        self._pool = ThreadPoolExecutor()

    def __enter__(self) -> Poll:
        self._work = [self._pool.submit(self._poll, self._logins[id_], polled) for id_, polled in self.polled.items()]
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for work in self._work:
            work.result()

    def __str__(self) -> str:
        return "\n".join(f"{id_}: {polled}" for id_, polled in self.polled.items())

    def _poll(self, login: Callable[[], Login], polled: Polled) -> None:
        following = time.monotonic()
        while not self._end.wait(max(0.0, following - time.monotonic())):
            began = time.monotonic()
            following = began + EVERY
            polled.add(login(), time.monotonic() - began)


def _login(credentials: Managed, id_: str) -> Callable[[], Login]:
    target = credentials.target(id_)
    taken = credentials.stored(id_).credential

    def attempt() -> Login:
        nonlocal taken
        pending = None if target.overlaps else credentials.pending(id_)
        candidates = [stored.credential for stored in (credentials.stored(id_), pending) if stored]
        for candidate in sorted(candidates, key=lambda each: each != taken):
            login = target.log_in(candidate.username, candidate.password)
            if login.answer is not Answer.REFUSED:
                taken = candidate
                break
        return login

    def login() -> Login:
        """A refusal counts when the next look at both paths says the same: two reads are no instant."""
        answered = attempt()
        return attempt() if answered.answer is Answer.REFUSED and not target.overlaps else answered

    return login
