"""The operation of the runbook scan_secrets."""

from __future__ import annotations

from collections.abc import Sequence

from infra_ops.models.outcomes import Outcome
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import Action
from infra_ops.operations.operation import Request, Work
from infra_ops.operations.repository import remembering
from infra_ops.operations.repository.measuring import measure, scan_history
from infra_ops.operations.repository.workshop import Workshop


class ScanSecrets:
    """Has no params of its own. It remembers the values that credentials have now, and looks for all that it knows."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._workshop = Workshop(request.inventory)

    def preflight(self) -> list[Outcome]:
        """Nothing: it only looks, and remembers."""
        return []

    def work(self) -> Work:
        plan, workshop = self._request.plan, self._workshop
        credentials = plan.arguments["remember"] if plan else sorted(workshop.remembered.missing)
        return Work(
            groups={"remember": remembering.actions(workshop.kv, workshop.versions, credentials)},
            arguments={"remember": credentials},
            nothing_to_do=() if credentials else ("Every value that credentials have is remembered.",),
        )

    def reversible(self) -> Sequence[Action]:
        """Nothing: a print harms nobody."""
        return []

    def standing(self) -> list[Outcome]:
        """The same as after its work: passwords in Git are there whoever looks."""
        return self.verify()

    def verify(self) -> list[Outcome]:
        """K030 to K034 of the branch that people work on."""
        workshop = Workshop(self._request.inventory)  # it has to know what was remembered a moment ago
        try:
            commit = workshop.clone.commit_of(workshop.repository.branch)
            if commit is None:
                raise Refusal(f"{workshop.repository.url} has no branch {workshop.repository.branch}.")
            run = self._request.run
            return [scan_history(workshop, "repository", run), *measure(workshop, commit, "repository", run)]
        finally:
            workshop.clone.close()
