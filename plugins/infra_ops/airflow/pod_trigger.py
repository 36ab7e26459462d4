"""The wait for a tool pod, in the triggerer. Imported only there and by running tasks: it is heavy."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import ClientError
from airflow.exceptions import AirflowException
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from kubernetes.client import V1Pod
from kubernetes_asyncio.client import ApiException
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception, stop_after_delay, wait_fixed

SILENCE_SECONDS = 300  # for which the API may be away; the provider's trigger gives up after three
ANSWER_SECONDS = 30  # for one answer: a server that lost its power never says that it is gone
PAUSE = 5
LATE = timedelta(seconds=30)  # clocks differ, and a kubelet that lives needs a moment to say that a pod has ended


class PodLost(AirflowException):
    """The pod's node does not answer any more: nobody can say whether the pod still runs."""


def is_lost(pod: V1Pod) -> bool:
    """Whether the pod should have ended by now, as it was deleted, and its node has not said that it has.

    Kubernetes deletes pods from a node that is lost (TOLERATIONS in restricted_pod.py), but keeps them in the API:
    https://kubernetes.io/docs/concepts/architecture/nodes/#node-status. `deletionTimestamp` is when its grace ends.
    """
    ends = pod.metadata.deletion_timestamp
    return ends is not None and datetime.now(UTC) > ends + LATE


def refuse_lost(pod: V1Pod) -> None:
    """Raises PodLost."""
    if is_lost(pod):
        raise PodLost(f"its node {pod.spec.node_name} is lost; a next try runs on another one")


class PodTrigger(KubernetesPodTrigger):
    """The provider's trigger, which would wait for ever for a pod whose node is lost, and no three seconds for an API
    server that restarts."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        _, arguments = super().serialize()
        return f"{PodTrigger.__module__}.{PodTrigger.__qualname__}", arguments

    async def _get_pod(self) -> V1Pod:
        asking = AsyncRetrying(
            retry=retry_if_exception(_passes),
            stop=stop_after_delay(SILENCE_SECONDS),
            wait=wait_fixed(PAUSE),
            before_sleep=before_sleep_log(self.log, 20),
            reraise=True,
        )
        began = time.monotonic()
        pod: V1Pod = await asking(self._ask)
        # While the API is away no pod can start, so that time does not count against its start.
        self.trigger_start_time += timedelta(seconds=time.monotonic() - began)
        refuse_lost(pod)
        return pod

    async def _ask(self) -> V1Pod:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self.hook.get_pod(name=self.pod_name, namespace=self.pod_namespace)


def _passes(error: BaseException) -> bool:
    """Whether the API server may answer otherwise in a while."""
    if isinstance(error, ApiException):
        return error.status in (0, 429) or error.status >= 500
    return isinstance(error, ClientError | OSError | TimeoutError)
