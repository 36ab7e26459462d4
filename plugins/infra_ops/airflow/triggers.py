"""Waits in the triggerer, which runs all waits of this Airflow in one process.

A trigger here asks Airflow for nothing: on 3.0.2 a look-up of a connection or variable can hang the whole triggerer
for good while its health stays green (apache/airflow#52247, mended in 3.0.3). It knows what it was given, and the
measuring function finds its services by the environment. What it was given is shown to every reader of the DAG.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from infra_ops.measures import measure
from infra_ops.models.outcomes import Outcome, State

# 3.0.2 may notice the end of a task's process only at its next look, 5 s later. A task that goes on before that is
# taken for the one that ended: its first message is answered 404, and under LocalExecutor it hangs for good.
NOTICED = 6.0


class CheckTrigger(BaseTrigger):
    """Measures a check until it has passed for each subject, or until `deadline` (ISO 8601).

    The event's payload is a list: the last outcome of each subject, as dicts. The deadline is a point in time, so that
    a triggerer that starts again does not begin to wait anew.
    """

    def __init__(
        self, *, check: str, subjects: list[str], arguments: dict[str, Any], seconds: float, deadline: str
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.check = check
        self.subjects = subjects
        self.arguments = arguments
        self.seconds = seconds
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{CheckTrigger.__module__}.{CheckTrigger.__qualname__}",
            {
                "check": self.check,
                "subjects": self.subjects,
                "arguments": self.arguments,
                "seconds": self.seconds,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        deadline = datetime.fromisoformat(self.deadline)
        outcomes: dict[str, Outcome] = {}
        await asyncio.sleep(NOTICED)
        while True:
            for subject in self.subjects:
                if subject not in outcomes or outcomes[subject].state is not State.PASS:
                    # One at a time, in a thread: clients block, and the loop belongs to all triggers.
                    outcomes[subject] = await asyncio.to_thread(measure, self.check, subject, self.arguments)
            waiting = [outcome for outcome in outcomes.values() if outcome.state is not State.PASS]
            left = (deadline - datetime.now(UTC)).total_seconds()
            if not waiting or left <= 0:
                yield TriggerEvent([outcome.as_dict() for outcome in outcomes.values()])  # type: ignore[no-untyped-call]
                return
            self.log.info("%s; %.0f s left", waiting[0].sentence(), left)
            await asyncio.sleep(min(self.seconds, left))
