"""`k3s certificate check|rotate`: what the node's certificates say, and how long they last.

The table changed with v1.32.5; both are the real ones (github.com/k3s-io/k3s/pkg/cli/cert).
"""

import ssl
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.k3s import leaves
from lab.k3s.leaves import Leaf

_DAY = 86400
_END = "-----END CERTIFICATE-----"
# RFC 4514's short names, as Go prints a subject.
_SHORT = {"commonName": "CN", "organizationName": "O"}


@dataclass(frozen=True)
class Certificate:
    """One certificate of a file; times are seconds since 1970."""

    file: str
    subject: dict[str, str]
    usages: str
    begins: float
    ends: float

    def status(self, now: float, warn_days: int) -> str:
        if now < self.begins:
            return "NOT YET VALID"
        if now > self.ends:
            return "EXPIRED"
        return "WARNING" if self.ends - now < warn_days * _DAY else "OK"


def check(root: Path, role: str, version: str, output: str) -> list[str]:
    """The lines of `--output table|text`."""
    now, days = time.time(), leaves.renewal_days(version)
    found = list(_certificates(root, role))
    if output == "text":
        return [_sentence(each, each.status(now, days), days) for each in found]
    if leaves.number(version) >= (1, 32, 5):
        rows: list[tuple[str, ...]] = [
            ("FILENAME", "SUBJECT", "USAGES", "EXPIRES", "RESIDUAL TIME", "STATUS"),
            ("--------", "-------", "------", "-------", "-------------", "------"),
        ]
        for each in found:
            ends = time.strftime("%b %d, %Y %H:%M UTC", time.gmtime(each.ends))
            residual = _residual(each.ends - now)
            rows.append((each.file, each.subject["CN"], each.usages, ends, residual, each.status(now, days)))
        return ["", *_table(rows, 3)]
    rows = [("CERTIFICATE", "SUBJECT", "STATUS", "EXPIRES"), ("-----------", "-------", "------", "-------")]
    for each in found:
        subject = ",".join(f"{name}={value}" for name, value in each.subject.items())
        rows.append((each.file, subject, each.status(now, days), _rfc3339(each.ends)))
    return ["", *_table(rows, 2)]


def remove(root: Path, role: str, services: list[str]) -> list[str]:
    """`rotate`: certificates and keys go, and the next start makes new ones. Returns the services."""
    done = []
    for leaf in leaves.of(role):
        if not services or leaf.service in services:
            for suffix in (".crt", ".key"):
                (root / leaf.path.with_suffix(suffix)).unlink(missing_ok=True)
            if leaf.service not in done:
                done.append(leaf.service)
    return done


def _certificates(root: Path, role: str) -> Iterator[Certificate]:
    for leaf in leaves.of(role):
        path = root / leaf.path.with_suffix(".crt")
        if not path.exists():
            continue
        for number, block in enumerate(path.read_text().split(_END)[:-1]):  # the leaf, then its authority
            yield _read(f"{block}{_END}\n", path.name, None if number else leaf)


def _read(pem: str, name: str, leaf: Leaf | None) -> Certificate:
    """The standard library reads certificates by one function, which is for its own tests and wants a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        told = ssl._ssl._test_decode_cert(file.name)  # type: ignore[attr-defined]
    names = {_SHORT.get(name, name): value for part in told["subject"] for name, value in part}
    subject = {name: names[name] for name in ("CN", "O") if name in names}
    usages = ",".join(leaf.usages) if leaf else "CertSign"
    begins, ends = (ssl.cert_time_to_seconds(told[name]) for name in ("notBefore", "notAfter"))
    return Certificate(name, subject, usages, begins, ends)


def _sentence(each: Certificate, status: str, days: int) -> str:
    subject = ",".join(f"{name}={value}" for name, value in each.subject.items())
    said = {
        "NOT YET VALID": f"is not valid before {_rfc3339(each.begins)}",
        "EXPIRED": f"expired at {_rfc3339(each.ends)}",
        "WARNING": f"will expire within {days} days at {_rfc3339(each.ends)}",
        "OK": f"is ok, expires at {_rfc3339(each.ends)}",
    }
    return f"{each.file}: certificate {subject} {said[status]}"


def _residual(seconds: float) -> str:
    days = int(abs(seconds) // _DAY)
    for size, name in ((365, "year"), (30, "month"), (7, "week"), (1, "day")):
        if days >= size:
            count = days // size
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{int(abs(seconds) // 3600)} hours"


def _rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _table(rows: list[tuple[str, ...]], gap: int) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["".join(cell.ljust(width + gap) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
