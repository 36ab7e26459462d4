"""What a sensor may wait for: the measuring function of each check that has one.

Functions stand here by name, so that nothing is imported before it is needed: the triggerer holds this module for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from infra_ops.models.outcomes import Outcome, State
from infra_ops.models.problems import Problem

# Check id -> function (subject, arguments) -> Outcome. It changes nothing, and may be called from any thread.
MEASURES: dict[str, str] = {
    "K010": "infra_ops.operations.rotation.progress.measure_accepted",
    "K011": "infra_ops.operations.rotation.progress.measure_moved",
    "K014": "infra_ops.operations.store.measuring.measure_serves",
}


def measure(check: str, subject: str, arguments: Mapping[str, Any]) -> Outcome:
    """One measurement. `arguments` has `run` (`dag/run`) and whatever else the function wants.

    A service that cannot be asked makes the outcome unknown. Raises KeyError for a check that nobody can measure.
    """
    module, _, function = MEASURES[check].rpartition(".")
    try:
        outcome: Outcome = getattr(import_module(module), function)(subject, arguments)
    except Problem as problem:
        nothing = ("an answer", "none", str(problem), datetime.now(UTC), timedelta(minutes=5), arguments["run"])
        return Outcome(check, subject, State.UNKNOWN, *nothing)
    return outcome
