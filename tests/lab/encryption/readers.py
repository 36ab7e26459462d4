"""Readers of the API that have nothing to do with the runbook: what each answer was while servers change over."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

import requests

from tests.lab.servers_of_k3s import SERVERS, K3sCluster

PAUSE = 0.05


@dataclass
class Readers:
    """Lists the Secrets of a namespace at each server's own address, over and over, as long as the block runs.

    An answer is right when every Secret comes with its value. A server that restarts gives none, or says 503: that is
    no answer. Anything else is wrong, and kept word by word.
    """

    k3s: K3sCluster
    namespace: str
    values: dict[str, dict[str, str]]  # what each Secret holds
    right: Counter[str] = field(default_factory=Counter)
    none: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    longest_silence: float = 0.0  # seconds in which no server at all gave a right answer

    def __enter__(self) -> Readers:
        self._stop = threading.Event()
        self._last_right = time.monotonic()
        self._threads = [threading.Thread(target=self._read, args=(server,)) for server in SERVERS]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self, server: str) -> None:
        url = f"{self.k3s.url(server)}/api/v1/namespaces/{self.namespace}/secrets"
        with requests.Session() as session:
            session.trust_env = False  # or REQUESTS_CA_BUNDLE would count for more
            session.verify = str(self.k3s.ca)
            session.headers["Authorization"] = f"Bearer {self.k3s.token}"
            while not self._stop.wait(PAUSE):
                try:
                    answer = session.get(url, timeout=10)
                except (requests.ConnectionError, requests.Timeout):
                    self.none[server] += 1
                    continue
                self._judge(server, answer)

    def _judge(self, server: str, answer: requests.Response) -> None:
        if answer.status_code == 503:
            self.none[server] += 1
        elif answer.status_code == 200 and self._held(answer) == self.values:
            now = time.monotonic()
            self.longest_silence = max(self.longest_silence, now - self._last_right)
            self._last_right = now
            self.right[server] += 1
        else:
            self.wrong.append(f"{server}: {answer.status_code} {answer.text[:200]}")

    def _held(self, answer: requests.Response) -> dict[str, dict[str, str]]:
        items = answer.json()["items"]
        return {item["metadata"]["name"]: item.get("data", {}) for item in items}

    def __str__(self) -> str:
        told = ", ".join(f"{server} {self.right[server]} right and {self.none[server]} none" for server in SERVERS)
        return f"{told}; {len(self.wrong)} wrong; longest without any right answer {self.longest_silence:.1f} s"
