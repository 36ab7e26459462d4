"""Texts that look like secrets to detect-secrets. It misses plain words and takes in harmless noise: a person decides.

https://github.com/Yelp/detect-secrets
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

# Those that need nobody to ask: what a detector would verify goes nowhere.
PLUGINS = (
    "KeywordDetector",
    "BasicAuthDetector",
    "PrivateKeyDetector",
    "Base64HighEntropyString",
    "HexHighEntropyString",
    "AWSKeyDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "SlackDetector",
)
FILTERS = (
    "allowlist.is_line_allowlisted",
    "heuristic.is_sequential_string",
    "heuristic.is_potential_uuid",
    "heuristic.is_likely_id_string",
    "heuristic.is_templated_secret",
    "heuristic.is_indirect_reference",
    "heuristic.is_not_alphanumeric_string",
    "heuristic.is_lock_file",
)


@dataclass(frozen=True, order=True)
class Suspicion:
    """A line that may hold a secret, of the kind that the detector has a name for."""

    path: str
    line: int
    kind: str
    value: str = field(repr=False, compare=False)

    @property
    def place(self) -> str:
        """As a person names it in the param `include`."""
        return f"{self.path}:{self.line}"


def suspicions(folder: Path, paths: Iterable[str]) -> list[Suspicion]:
    """What detect-secrets finds in these files of a folder, one a line."""
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import transient_settings

    settings = {
        "plugins_used": [{"name": name} for name in PLUGINS],
        "filters_used": [{"path": f"detect_secrets.filters.{name}"} for name in FILTERS],
    }
    found: dict[str, Suspicion] = {}
    with transient_settings(settings):
        for path in paths:
            for secret in scan_file(str(folder / path)):
                each = Suspicion(path, secret.line_number, secret.type, secret.secret_value or "")
                found.setdefault(each.place, each)
    return sorted(found.values())
