"""What sensors wait for while the store is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from infra_ops.checks import store as checks
from infra_ops.clients.applying import Deployer
from infra_ops.facts import openbao as facts
from infra_ops.models.outcomes import Outcome


def measure_serves(subject: str, arguments: Mapping[str, Any]) -> Outcome:
    """K014: the store's pod initialized itself, unsealed itself and leads. `subject` is `openbao`."""
    return checks.serves(facts.serving(Deployer()), now=datetime.now(UTC), run=arguments["run"])
