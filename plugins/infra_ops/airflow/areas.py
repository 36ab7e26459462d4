"""As whom a DAG's tasks run under KubernetesExecutor."""

from __future__ import annotations

from infra_ops.shipped import MANIFESTS

TEMPLATES = MANIFESTS / "infra-ops" / "pod-templates"


def worker_pod(area: str) -> dict[str, str]:
    """`executor_config` of an area: its pod template names the service account with just that area's rights.

    A path and no object of the Kubernetes client, which would cost seconds at every parse. The scheduler reads the
    file; other executors ignore it.
    """
    return {"pod_template_file": str(TEMPLATES / f"{area}.yaml")}
