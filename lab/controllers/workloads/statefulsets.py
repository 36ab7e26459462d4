"""A StatefulSet keeps numbered pods, one after the other, each with volume claims of its own."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from lab.controllers.workloads.pods import from_template, is_active, is_ready, is_terminating, template_hash
from lab.controllers.workloads.view import View
from lab.controllers.workloads.writes import Create, Delete, Write, status_patch

Object = dict[str, Any]

HASH_LABEL = "controller-revision-hash"


def due(view: View) -> Iterator[Write]:
    """The next writes of every StatefulSet."""
    for stateful_set in view.all("StatefulSet"):
        if "deletionTimestamp" not in stateful_set["metadata"]:
            yield from _one(view, stateful_set)


def _one(view: View, stateful_set: Object) -> Iterator[Write]:
    name = stateful_set["metadata"]["name"]
    revision = f"{name}-{template_hash(stateful_set['spec']['template'])}"
    pods = {pod["metadata"]["name"]: pod for pod in view.owned("Pod", stateful_set)}
    wanted = [f"{name}-{ordinal}" for ordinal in range(stateful_set["spec"].get("replicas", 1))]
    yield from _claims(view, stateful_set, wanted)
    yield from _step(stateful_set, pods, wanted, revision)
    yield from status_patch(stateful_set, _status(stateful_set, list(pods.values()), wanted, revision))


def _claims(view: View, stateful_set: Object, wanted: list[str]) -> Iterator[Write]:
    for template in stateful_set["spec"].get("volumeClaimTemplates") or []:
        for pod in wanted:
            name, namespace = f"{template['metadata']['name']}-{pod}", stateful_set["metadata"]["namespace"]
            if view.get("PersistentVolumeClaim", namespace, name) is None:
                labels = stateful_set["spec"]["selector"].get("matchLabels", {})
                yield Create(
                    {
                        "apiVersion": "v1",
                        "kind": "PersistentVolumeClaim",
                        "metadata": {"name": name, "namespace": namespace, "labels": labels},
                        "spec": template["spec"],
                    }
                )


def _step(stateful_set: Object, pods: dict[str, Object], wanted: list[str], revision: str) -> Iterator[Write]:
    """Creates, then scales down, then updates; unless the pods may go in parallel, one pod at a time."""
    parallel = stateful_set["spec"].get("podManagementPolicy") == "Parallel"
    for name in wanted:
        pod = pods.get(name)
        if pod is None:
            yield Create(_pod(stateful_set, name, revision))
        elif not is_terminating(pod) and not is_active(pod):
            yield Delete(pod)
        if not parallel and (pod is None or not is_ready(pod)):
            # A broken pod of an old revision may be replaced; anything else waits for this one.
            if pod is not None and is_active(pod) and _outdated(pod, revision) and _updates(stateful_set):
                yield Delete(pod)
            return
    surplus = sorted((name for name in pods if name not in wanted), key=_ordinal, reverse=True)
    for name in surplus if parallel else surplus[:1]:
        if not is_terminating(pods[name]):
            yield Delete(pods[name])
    if surplus or not _updates(stateful_set):
        return
    partition = stateful_set["spec"].get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0)
    for name in reversed(wanted[partition:]):
        if name in pods and _outdated(pods[name], revision) and not is_terminating(pods[name]):
            yield Delete(pods[name])
            return
        if name not in pods or not is_ready(pods[name]):
            return


def _pod(stateful_set: Object, name: str, revision: str) -> Object:
    labels = {
        HASH_LABEL: revision,
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": str(_ordinal(name)),
    }
    pod = from_template(stateful_set, labels, name=name)
    spec = pod["spec"] = copy.deepcopy(pod["spec"])
    spec["hostname"] = name
    spec["subdomain"] = stateful_set["spec"].get("serviceName", "")
    for template in stateful_set["spec"].get("volumeClaimTemplates") or []:
        claim = template["metadata"]["name"]
        volume = {"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{name}"}}
        spec["volumes"] = [v for v in spec.get("volumes", []) if v["name"] != claim] + [volume]
    return pod


def _status(stateful_set: Object, pods: list[Object], wanted: list[str], revision: str) -> Object:
    active = [pod for pod in pods if is_active(pod)]
    ready = sum(is_ready(pod) for pod in active)
    updated = sum(not _outdated(pod, revision) for pod in active)
    done = updated == len(active) == len(wanted)
    current = revision if done else stateful_set.get("status", {}).get("currentRevision", revision)
    return {
        "observedGeneration": stateful_set["metadata"]["generation"],
        "replicas": len(active),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "currentReplicas": sum(pod["metadata"]["labels"].get(HASH_LABEL) == current for pod in active),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": revision,
    }


def _updates(stateful_set: Object) -> bool:
    return bool(stateful_set["spec"].get("updateStrategy", {}).get("type", "RollingUpdate") == "RollingUpdate")


def _outdated(pod: Object, revision: str) -> bool:
    return bool(pod["metadata"].get("labels", {}).get(HASH_LABEL) != revision)


def _ordinal(name: str) -> int:
    return int(name.rpartition("-")[2])
