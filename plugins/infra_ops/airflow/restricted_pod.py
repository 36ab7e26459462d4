"""KubernetesPodOperator, bent to this package's rules. Imported only by a running task: it is heavy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from airflow.exceptions import AirflowException, TaskDeferred
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from airflow.sdk import Context
from kubernetes.client import (
    ApiException,
    CoreV1Api,
    V1Capabilities,
    V1DeleteOptions,
    V1Pod,
    V1PodSecurityContext,
    V1Preconditions,
    V1SeccompProfile,
    V1SecurityContext,
    V1Toleration,
)
from kubernetes.client.rest import RESTClientObject
from pendulum import DateTime
from urllib3.exceptions import HTTPError

from infra_ops.airflow.pod_trigger import PodTrigger, is_lost, refuse_lost
from infra_ops.clients.retries import Patience

LABELS = {"app.kubernetes.io/managed-by": "airflow", "app.kubernetes.io/part-of": "infra-ops"}
USER = 50000  # the side-car's image would run as root, which the restricted standard refuses
POD_SECURITY = V1PodSecurityContext(
    run_as_non_root=True,
    run_as_user=USER,
    run_as_group=USER,
    fs_group=USER,
    seccomp_profile=V1SeccompProfile(type="RuntimeDefault"),
)
# Two minutes without its node, not five, and the next try takes over elsewhere. K3s may restart meanwhile.
TOLERATIONS = [
    V1Toleration(key=f"node.kubernetes.io/{what}", operator="Exists", effect="NoExecute", toleration_seconds=120)
    for what in ("unreachable", "not-ready")
]
CONTAINER_SECURITY = V1SecurityContext(allow_privilege_escalation=False, capabilities=V1Capabilities(drop=["ALL"]))


class _Pods(PodManager):
    """Waits for no pod whose node is lost: it says for ever that it runs."""

    def read_pod(self, pod: V1Pod) -> V1Pod:
        found = super().read_pod(pod)
        refuse_lost(found)
        return found


class RestrictedPod(KubernetesPodOperator):
    """A deferrable pod that meets the restricted Pod Security standard and returns JSON by its side-car.

    `patient` bears an API server that is away for two minutes.
    """

    def __init__(self, *, patient: bool = False, **kwargs: Any) -> None:
        self.patient = patient
        super().__init__(
            deferrable=True,
            do_xcom_push=True,
            labels=LABELS,
            security_context=POD_SECURITY,
            tolerations=TOLERATIONS,
            termination_message_policy="FallbackToLogsOnError",
            log_pod_spec_on_failure=False,
            log_events_on_failure=True,
            **kwargs,
        )

    def start(self, context: Context) -> None:
        """Create the pod, or find the one of an earlier try, and defer."""
        self.name = self._set_name(self.name)
        with _plain_errors():
            self.execute_async(context)

    def finish(self, context: Context, event: dict[str, Any]) -> Any:
        """Fetch log and result of the ended pod and delete it."""
        if event["status"] == "error":
            # The triggerer lost sight of the API, not the pod its work: it is left for the next try to take up.
            raise AirflowException(f"Lost sight of pod {event['name']}: {event['message'] or 'no reason given'}")
        if event["status"] == "timeout":
            return self._give_up(context, event)
        with _plain_errors():
            return self.trigger_reentry(context, event)

    def _give_up(self, context: Context, event: dict[str, Any]) -> None:
        self.do_xcom_push = False  # nothing has run, so the side-car cannot be asked
        try:
            with _plain_errors():
                self.trigger_reentry(context, event)
        except AirflowException as error:
            seconds = self.startup_timeout_seconds
            raise AirflowException(
                f"Pod {event['name']} did not start within {seconds} s; its events are above"
            ) from error

    def build_pod_request_obj(self, context: Context | None = None) -> V1Pod:
        """The XCom side-car is added without any security context of its own, so it is set on all containers here."""
        pod = super().build_pod_request_obj(context)
        for container in pod.spec.containers:
            container.security_context = CONTAINER_SECURITY
        return pod

    def find_pod(self, namespace: str, context: Context, *, exclude_checked: bool = True) -> V1Pod | None:
        """The pod of an earlier try; one whose node is lost is taken out of the API, which nobody else does."""
        pod = super().find_pod(namespace, context, exclude_checked=exclude_checked)
        if pod is None or not is_lost(pod):
            return pod
        self.log.warning("Pod %s is given up: its node %s is lost", pod.metadata.name, pod.spec.node_name)
        # All in the body: where there is one, a server does not look at the query.
        at_once = V1DeleteOptions(grace_period_seconds=0, preconditions=V1Preconditions(uid=pod.metadata.uid))
        try:
            self.client.delete_namespaced_pod(pod.metadata.name, namespace, body=at_once)
        except ApiException as error:
            if error.status != 404:  # its node came back this very moment
                raise
        return None

    @cached_property
    def client(self) -> CoreV1Api:
        client: CoreV1Api = super().client
        if self.patient:
            configuration = client.api_client.configuration
            configuration.retries = Patience.through_a_restart()
            client.api_client.rest_client = RESTClientObject(configuration)
        return client

    @cached_property
    def pod_manager(self) -> PodManager:
        return _Pods(kube_client=self.client, callbacks=self.callbacks)

    def invoke_defer_method(self, last_log_time: DateTime | None = None) -> None:
        """Wait by our trigger, with the arguments of the provider's."""
        try:
            super().invoke_defer_method(last_log_time)
        except TaskDeferred as waiting:
            waiting.trigger = PodTrigger(**waiting.trigger.serialize()[1])
            raise

    def convert_config_file_to_dict(self) -> None:
        """Keep the kubeconfig out of the trigger's arguments, which Airflow's REST API shows to every reader.

        The triggerer finds its way by the connection kubernetes_default of its own environment.
        """
        self._config_dict = None


@contextmanager
def _plain_errors() -> Iterator[None]:
    """The client's errors as one sentence: their own texts are headers and objects of the connection pool."""
    try:
        yield
    except ApiException as error:
        raise AirflowException(f"The Kubernetes API refused: {error.status} {_message(error)}") from error
    except HTTPError as error:
        raise AirflowException(f"The Kubernetes API does not answer: {getattr(error, 'reason', error)}") from error


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):  # a proxy's page, or no body at all
        return str(error.reason)
