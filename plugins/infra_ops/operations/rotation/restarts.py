"""Restarting the workloads that read a Secret, so that they read its new value."""

from __future__ import annotations

from datetime import UTC, datetime

from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster
from infra_ops.facts.workloads import Workload, template
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action
from infra_ops.operations.rotation.targets.target import Change

# In the order in which a rotation passes them; a later stage has passed the earlier ones.
STAGES = ("accepting", "moved", "refusing")


def restart(cluster: Cluster, change: Change, workload: Workload, stage: str) -> Action:
    """The action that lets a workload start again, with a mark of the rotation and its stage."""
    annotation = f"infra-ops/{change.credential_id.replace('_', '-')}"
    marks = [f"{change.rotation_id}.{name}" for name in STAGES[STAGES.index(stage) :]]
    step = Step(
        f"{change.credential_id}.restart.{stage}.{workload.kind}.{workload.namespace}.{workload.name}",
        str(workload),
        before="started earlier",
        after=f"restarted for {change.new_version} ({stage})",
    )

    def look() -> str:
        found = template(cluster, workload)
        if found is None:
            return "gone"
        mark = found.get("metadata", {}).get("annotations", {}).get(annotation)
        return step.after if mark in marks else step.before

    def do(effects: Effects) -> None:
        annotations = {annotation: marks[0], "kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat()}
        patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        effects.do(step.id, f"restart {workload}", lambda: cluster.merge(workload.path, patch))

    def undo(effects: Effects) -> None:
        patch = {"spec": {"template": {"metadata": {"annotations": {annotation: None}}}}}
        effects.do(step.id, f"restart {workload} as it was", lambda: cluster.merge(workload.path, patch))

    return Action(step, look, do, undo)
