"""The Python clients that Airflow's Kubernetes provider uses, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import kubernetes_asyncio
import pytest
from kubernetes.client import ApiException, AppsV1Api, CoreV1Api
from kubernetes.dynamic import DynamicClient

from tests.lab.apiserver.objects import configmap, deployment, pod
from tests.lab.apiserver.rest import Rest
from tests.lab.cluster import Cluster
from tests.lab.servers import StartServer


@pytest.fixture
def core(cluster: Cluster) -> Iterator[CoreV1Api]:
    client = cluster.client()
    yield CoreV1Api(client)
    client.close()


def test_the_client_watches(core: CoreV1Api, namespace: str) -> None:
    """It sends watch=True, and resumes by the version of the last event."""
    watch = kubernetes.watch.Watch()
    core.create_namespaced_config_map(namespace, configmap("a", {"mine": "1"}))
    seen = []
    for event in watch.stream(core.list_namespaced_config_map, namespace, label_selector="mine", timeout_seconds=20):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 1:
            core.delete_namespaced_config_map("a", namespace)
        else:
            watch.stop()
    assert seen == [("ADDED", "a"), ("DELETED", "a")]


def test_the_client_hears_that_it_comes_too_late(start_server: StartServer) -> None:
    """It raises the 410, and then whoever watches has to list again."""
    server = start_server("--history", "3")
    with Cluster(server.kubeconfig, server.url, server.ca, real=False).client() as client:
        core = CoreV1Api(client)
        old = core.list_namespaced_config_map("default").metadata.resource_version
        for number in range(5):
            core.create_namespaced_config_map("default", configmap(f"cm-{number}"))
        stream = kubernetes.watch.Watch().stream(
            core.list_namespaced_config_map, "default", resource_version=old, timeout_seconds=20
        )
        with pytest.raises(ApiException) as caught:
            list(stream)
        assert caught.value.status == 410


def test_the_client_patches_strategically_by_default(core: CoreV1Api, namespace: str) -> None:
    apps = AppsV1Api(core.api_client)
    apps.create_namespaced_deployment(namespace, deployment("a", 0))
    containers = [{"name": "more", "image": "x:1"}]
    body = {"spec": {"template": {"spec": {"containers": containers}}}}
    changed = apps.patch_namespaced_deployment("a", namespace, body)
    assert sorted(item.name for item in changed.spec.template.spec.containers) == ["main", "more"]


def test_the_client_reads_typed_lists_and_errors(core: CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("a", schedulerName="nobody"))
    found = core.list_namespaced_pod(namespace, limit=1)
    assert found.items[0].status.phase == "Pending"
    with pytest.raises(ApiException) as caught:
        core.read_namespaced_pod("nope", namespace)
    assert (caught.value.status, 'pods \\"nope\\" not found' in caught.value.body) == (404, True)
    core.delete_namespaced_pod("a", namespace, grace_period_seconds=0)


def test_the_dynamic_client_applies_on_the_server(core: CoreV1Api, namespace: str, tmp_path: Path) -> None:
    dynamic = DynamicClient(core.api_client)
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    maps.server_side_apply(body=body, name="a", namespace=namespace, field_manager="me")
    assert maps.get(name="a", namespace=namespace).data.x == "1"


def test_the_asynchronous_client_lists_and_watches(cluster: Cluster, namespace: str, api: Rest) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    async def first_events() -> list[tuple[str, str]]:
        await kubernetes_asyncio.config.load_kube_config(str(cluster.kubeconfig))
        async with kubernetes_asyncio.client.ApiClient() as client:
            core = kubernetes_asyncio.client.CoreV1Api(client)
            await core.create_namespaced_config_map(namespace, configmap("a", {"mine": "1"}))
            listed = await core.list_namespaced_config_map(namespace, label_selector="mine")
            assert [item.metadata.name for item in listed.items] == ["a"]
            watch = kubernetes_asyncio.watch.Watch()
            seen = []
            stream = watch.stream(core.list_namespaced_config_map, namespace, label_selector="mine", timeout_seconds=20)
            async for event in stream:
                seen.append((event["type"], event["object"].metadata.name))
                if len(seen) == 2:
                    watch.stop()
                    break
                await asyncio.to_thread(api.delete, f"{path}/a")
            return seen

    assert asyncio.run(first_events()) == [("ADDED", "a"), ("DELETED", "a")]


def test_a_pod_finds_the_server_by_its_service_account(
    cluster: Cluster, core: CoreV1Api, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """load_incluster_config: the token and ca.crt of the account, and two environment variables."""
    if cluster.real:
        pytest.skip("the certificate of a real server may not name the address in its kubeconfig")
    token = core.create_namespaced_service_account_token("default", namespace, {"spec": {}}).status.token
    (tmp_path / "token").write_text(token)
    host, port = cluster.url.removeprefix("https://").split(":")
    environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    settings = kubernetes.client.Configuration()
    loader = kubernetes.config.incluster_config.InClusterConfigLoader(
        token_filename=str(tmp_path / "token"), cert_filename=str(cluster.ca), environ=environment
    )
    loader.load_and_set(settings)
    with kubernetes.client.ApiClient(settings) as client:
        own = kubernetes.client.AuthenticationV1Api(client).create_self_subject_review({})
        assert own.status.user_info.username == f"system:serviceaccount:{namespace}:default"
        with pytest.raises(ApiException) as caught:
            CoreV1Api(client).list_namespaced_secret(namespace)
        assert caught.value.status == 403
