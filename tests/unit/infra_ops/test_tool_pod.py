"""What the pod operator asks Kubernetes for, and how it takes the news of its pod."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from aiohttp import ClientConnectionError
from airflow.exceptions import AirflowException, TaskDeferred
from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from airflow.utils.module_loading import import_string
from kubernetes.client import (
    ApiClient,
    ApiException,
    CoreV1Api,
    V1ContainerState,
    V1ContainerStateTerminated,
    V1ContainerStatus,
    V1ObjectMeta,
    V1Pod,
    V1PodSpec,
    V1PodStatus,
)
from kubernetes_asyncio.client import ApiException as AsyncApiException
from urllib3.exceptions import MaxRetryError

from infra_ops.airflow.pod_trigger import PodTrigger
from infra_ops.airflow.restricted_pod import RestrictedPod
from infra_ops.airflow.tool_pod import TEMPLATES, ToolPod
from infra_ops.clients.retries import Patience

EVENT = {"name": "pod-1", "namespace": "infra-ops", "message": ""}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """A Kubernetes API on which nothing runs yet, found by the connection kubernetes_default."""
    extra = {"in_cluster": True, "xcom_sidecar_container_image": "alpine:3.22"}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: None)
    api = MagicMock(api_client=ApiClient())
    api.list_namespaced_pod.return_value.items = []
    monkeypatch.setattr(RestrictedPod, "client", api)
    return api


@pytest.fixture
def start(api: MagicMock, context: dict[str, Any]) -> Callable[[], TaskDeferred]:
    """Starts a tool pod and returns how its task waits."""

    def begin() -> TaskDeferred:
        with pytest.raises(TaskDeferred) as waiting:
            ToolPod(task_id="pod_lists_nodes", arguments=["nodes"], deadline_seconds=120).execute(context)
        return waiting.value

    return begin


def created(api: MagicMock) -> dict[str, Any]:
    """The pod as it went over the wire."""
    pod: dict[str, Any] = api.create_namespaced_pod.call_args.kwargs["body"]
    return pod


def test_the_worker_says_which_registry_the_image_is_pulled_from(
    start: Callable[[], TaskDeferred], api: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFRA_OPS_TOOLBOX_IMAGE", "registry.example.org/infra-ops/toolbox:0.1.0")
    start()
    assert created(api)["spec"]["containers"][0]["image"] == "registry.example.org/infra-ops/toolbox:0.1.0"


def test_the_pod_runs_the_tool_as_the_reader_in_its_own_namespace(
    start: Callable[[], TaskDeferred], api: MagicMock
) -> None:
    start()
    pod = created(api)
    base = pod["spec"]["containers"][0]
    assert pod["metadata"]["namespace"] == "infra-ops"
    assert pod["spec"]["serviceAccountName"] == "reader"
    assert base["image"] == "infra-ops/toolbox:0.1.0"
    assert base["command"] + base["args"] == [
        *("python", "-m", "infra_ops", "nodes"),
        *("--result", "/airflow/xcom/return.json"),
    ]
    assert pod["metadata"]["labels"]["dag_id"] == "ground_check"


@pytest.mark.parametrize("template", sorted(path.stem for path in TEMPLATES.glob("*.yaml")))
def test_the_template_says_where_the_pod_runs(template: str, api: MagicMock, context: dict[str, Any]) -> None:
    """Also the pod of an earlier try is looked for there, and the triggerer waits for it there."""
    with pytest.raises(TaskDeferred) as waiting:
        ToolPod(task_id="t", arguments=["nodes"], template=template).execute(context)
    namespace = "infra-ops" if template == "reader" else f"infra-ops-{template}"
    assert created(api)["metadata"]["namespace"] == namespace
    assert {call.kwargs["namespace"] for call in api.list_namespaced_pod.call_args_list} == {namespace}
    assert waiting.value.trigger.serialize()[1]["pod_namespace"] == namespace


def test_kubernetes_itself_ends_the_pod_at_its_deadline(start: Callable[[], TaskDeferred], api: MagicMock) -> None:
    """Marking a waiting task failed tells nobody in 3.0.2, so the pod must not depend on being told."""
    start()
    assert created(api)["spec"]["activeDeadlineSeconds"] == 120


def test_kubernetes_takes_it_from_a_lost_node_after_two_minutes(
    start: Callable[[], TaskDeferred], api: MagicMock
) -> None:
    start()
    borne = [(each["key"], each["effect"], each["tolerationSeconds"]) for each in created(api)["spec"]["tolerations"]]
    assert borne == [
        ("node.kubernetes.io/unreachable", "NoExecute", 120),
        ("node.kubernetes.io/not-ready", "NoExecute", 120),
    ]


def test_every_container_meets_the_restricted_standard(start: Callable[[], TaskDeferred], api: MagicMock) -> None:
    """The provider adds its XCom side-car without a security context; the namespace would refuse the pod."""
    start()
    spec = created(api)["spec"]
    assert [container["name"] for container in spec["containers"]] == ["base", "airflow-xcom-sidecar"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_side_car_comes_from_the_image_that_the_connection_pins(
    start: Callable[[], TaskDeferred], api: MagicMock
) -> None:
    start()
    assert created(api)["spec"]["containers"][1]["image"] == "alpine:3.22"


def test_the_kubeconfig_stays_out_of_the_triggers_arguments(
    start: Callable[[], TaskDeferred], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider copies the file KUBECONFIG, token and all, into what the REST API shows to every reader."""
    (tmp_path / "kubeconfig").write_text('{"users": [{"user": {"token": "invented-token"}}]}')
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    waiting = start()
    _, arguments = waiting.trigger.serialize()
    assert "invented-token" not in repr(arguments)
    assert arguments["config_dict"] is None


def test_a_second_try_takes_up_the_pod_that_still_runs(start: Callable[[], TaskDeferred], api: MagicMock) -> None:
    running = V1Pod(metadata=V1ObjectMeta(name="pod-1", namespace="infra-ops", labels={"try_number": "1"}))
    api.list_namespaced_pod.return_value.items = [running]
    waiting = start()
    api.create_namespaced_pod.assert_not_called()
    assert waiting.trigger.serialize()[1]["pod_name"] == "pod-1"


def deleted(ago: timedelta) -> V1Pod:
    """The pod of an earlier try, whose grace ended that long ago."""
    metadata = V1ObjectMeta(
        name="pod-1",
        namespace="infra-ops",
        uid="u-1",
        labels={"try_number": "1"},
        deletion_timestamp=datetime.now(UTC) - ago,
    )
    return V1Pod(metadata=metadata, spec=V1PodSpec(containers=[], node_name="rpi-5"))


def test_a_pod_whose_node_is_lost_makes_room_for_a_new_one(start: Callable[[], TaskDeferred], api: MagicMock) -> None:
    """Kubernetes keeps it until the node is back, so nothing would ever be known of it."""
    api.list_namespaced_pod.return_value.items = [deleted(timedelta(minutes=1))]
    start()
    gone = api.delete_namespaced_pod.call_args
    assert gone.args == ("pod-1", "infra-ops")
    assert gone.kwargs.keys() == {"body"}  # beside a body a server does not read the query
    assert ApiClient().sanitize_for_serialization(gone.kwargs["body"]) == {
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u-1"},
    }
    assert created(api)["metadata"]["labels"]["dag_id"] == "ground_check"


def test_a_lost_pod_that_its_node_has_just_ended_is_gone(start: Callable[[], TaskDeferred], api: MagicMock) -> None:
    api.list_namespaced_pod.return_value.items = [deleted(timedelta(minutes=1))]
    api.delete_namespaced_pod.side_effect = ApiException(status=404)
    start()
    assert created(api)["metadata"]["labels"]["dag_id"] == "ground_check"


def test_a_pod_whose_node_is_lost_before_its_result_was_fetched_is_not_waited_for(
    api: MagicMock, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says for ever that it runs, and the provider waits for its end."""
    lost = deleted(timedelta(minutes=1))
    lost.status = V1PodStatus(phase="Running", container_statuses=[])
    api.read_namespaced_pod.return_value = lost
    monkeypatch.setattr("airflow.providers.cncf.kubernetes.hooks.kubernetes.KubernetesHook.get_pod", lambda *_: lost)
    monkeypatch.setattr(PodManager, "extract_xcom", lambda *_: "{}")
    with pytest.raises(AirflowException, match="its node rpi-5 is lost"):
        resume(context, status="success")


@pytest.mark.parametrize("patient", [True, False])
def test_a_patient_worker_bears_an_api_server_that_is_away(patient: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KubernetesHook, "core_v1_client", CoreV1Api(ApiClient()))
    pod = ToolPod(task_id="t", arguments=[], patient=patient)._pod()
    retries = pod.client.api_client.rest_client.pool_manager.connection_pool_kw.get("retries")
    assert isinstance(retries, Patience) is patient


def test_a_pod_that_is_just_ending_is_waited_for(start: Callable[[], TaskDeferred], api: MagicMock) -> None:
    api.list_namespaced_pod.return_value.items = [deleted(timedelta(seconds=5))]
    assert start().trigger.serialize()[1]["pod_name"] == "pod-1"
    api.delete_namespaced_pod.assert_not_called()


def waiting_with(answers: list[Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the trigger says, whose looks at the pod get these answers: pods, errors, or seconds of silence before the
    next one. The pod may take one second to start."""
    monkeypatch.setattr("infra_ops.airflow.pod_trigger.PAUSE", 0)
    coming = iter(answers)

    async def get_pod(**_: str) -> V1Pod:
        answer = next(coming)
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = next(coming)
        if isinstance(answer, Exception):
            raise answer
        return answer

    trigger = PodTrigger(
        pod_name="pod-1",
        pod_namespace="infra-ops",
        trigger_start_time=datetime.now(UTC),
        base_container_name="base",
        startup_timeout=1,
        startup_check_interval=0,
    )
    trigger.hook = MagicMock(get_pod=get_pod)

    async def first() -> Any:
        return await anext(trigger.run())

    event: dict[str, Any] = asyncio.run(first()).payload
    return event


def ended() -> V1Pod:
    state = V1ContainerState(terminated=V1ContainerStateTerminated(exit_code=0))
    status = V1ContainerStatus(name="base", image="", image_id="", ready=False, restart_count=0, state=state)
    return V1Pod(metadata=V1ObjectMeta(), status=V1PodStatus(phase="Succeeded", container_statuses=[status]))


def test_the_wait_bears_an_api_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Far longer than the provider's trigger, which gives up at the third failure."""
    away = [ClientConnectionError("refused"), AsyncApiException(status=503), TimeoutError()] * 5
    assert waiting_with([*away, ended()], monkeypatch)["status"] == "success"


def test_the_wait_ends_at_once_when_the_pod_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    event = waiting_with([AsyncApiException(status=404, reason="Not Found")], monkeypatch)
    assert event["status"] == "error"
    assert "404" in event["message"]


def test_the_wait_ends_when_the_node_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    event = waiting_with([deleted(timedelta(minutes=1))], monkeypatch)
    assert (event["status"], event["message"]) == (
        "error",
        "its node rpi-5 is lost; a next try runs on another one",
    )


def pending() -> V1Pod:
    return V1Pod(metadata=V1ObjectMeta(), status=V1PodStatus(phase="Pending"))


def test_a_pod_that_does_not_start_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PodTrigger, "_ask", AsyncMock(return_value=pending()))
    assert waiting_with([], monkeypatch)["status"] == "timeout"


def test_an_api_server_that_is_away_does_not_count_against_the_start_of_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting_with([1.2, pending(), 1.2, pending(), ended()], monkeypatch)["status"] == "success"


def test_a_server_that_says_nothing_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra_ops.airflow.pod_trigger.ANSWER_SECONDS", 0.05)
    assert waiting_with([60.0, ended()], monkeypatch)["status"] == "success"


def test_the_triggerer_finds_our_trigger_with_all_its_arguments(start: Callable[[], TaskDeferred]) -> None:
    path, arguments = start().trigger.serialize()
    again = import_string(path)(**arguments)
    assert type(again) is PodTrigger
    assert again.serialize() == (path, arguments)


def test_a_refused_pod_fails_with_the_servers_words(api: MagicMock, context: dict[str, Any]) -> None:
    api.create_namespaced_pod.side_effect = ApiException(status=403, reason="Forbidden")
    api.create_namespaced_pod.side_effect.body = '{"message": "pods is forbidden"}'
    with pytest.raises(AirflowException, match="^The Kubernetes API refused: 403 pods is forbidden$"):
        ToolPod(task_id="t", arguments=["nodes"]).execute(context)


def test_a_silent_api_server_is_one_sentence(api: MagicMock, context: dict[str, Any]) -> None:
    api.list_namespaced_pod.side_effect = MaxRetryError(MagicMock(), "/api", reason=OSError("Connection refused"))
    with pytest.raises(AirflowException, match="^The Kubernetes API does not answer: Connection refused$"):
        ToolPod(task_id="t", arguments=["nodes"]).execute(context)


def resume(context: dict[str, Any], **event: str) -> Any:
    """Airflow coming back in the same try, with what the trigger said of the pod."""
    return ToolPod(task_id="t", arguments=["nodes"]).trigger_reentry(context, EVENT | event, begun_in_try=1)


def test_a_pod_out_of_sight_is_left_alone_for_the_next_try(api: MagicMock, context: dict[str, Any]) -> None:
    """An API server that restarts must not cost the work that the pod is doing."""
    with pytest.raises(AirflowException, match="Lost sight of pod pod-1: Connection refused"):
        resume(context, status="error", message="Connection refused")
    assert api.method_calls == []


def test_a_pod_that_never_started_is_deleted_and_its_events_are_logged(
    api: MagicMock, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pending = V1Pod(metadata=V1ObjectMeta(name="pod-1", namespace="infra-ops"), status=V1PodStatus(phase="Pending"))
    pending.spec = MagicMock(containers=[])
    api.read_namespaced_pod.return_value = pending
    monkeypatch.setattr("airflow.providers.cncf.kubernetes.hooks.kubernetes.KubernetesHook.get_pod", lambda *_: pending)
    event = MagicMock(type="Warning", reason="Failed", message="ErrImagePull")
    api.list_namespaced_event.return_value.items = [event]
    with pytest.raises(AirflowException, match="^Pod pod-1 did not start within 120 s; its events are above$"):
        resume(context, status="timeout", message="Pod did not leave Pending")
    assert "ErrImagePull" in caplog.text
    api.connect_get_namespaced_pod_exec.assert_not_called()
    assert api.delete_namespaced_pod.call_args.args == ("pod-1", "infra-ops")


def test_a_retry_starts_afresh_although_airflow_resumes_it_with_the_old_event(
    api: MagicMock, context: dict[str, Any]
) -> None:
    """3.0.2 keeps next_method when a deferred task fails: without this every retry would fail as its first try."""
    context["ti"].try_number = 2
    with pytest.raises(TaskDeferred) as waiting:
        resume(context, status="failed")
    assert created(api)["metadata"]["labels"]["try_number"] == "2"
    assert waiting.value.kwargs == {"begun_in_try": 2}


def test_a_killed_task_deletes_the_pod_that_it_started(api: MagicMock, context: dict[str, Any]) -> None:
    task = ToolPod(task_id="t", arguments=["nodes"])
    with pytest.raises(TaskDeferred):
        task.execute(context)
    task.on_kill()
    assert api.delete_namespaced_pod.call_args.kwargs["name"] == created(api)["metadata"]["name"]


def test_a_task_that_has_started_nothing_can_be_killed() -> None:
    ToolPod(task_id="t", arguments=["nodes"]).on_kill()
