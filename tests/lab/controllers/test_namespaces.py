"""A deleted namespace is emptied in all its kinds before it goes."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from kubernetes.client import ApiException, ApiextensionsV1Api, AppsV1Api, CoreV1Api, CustomObjectsApi

from lab.controllers import namespaces
from lab.controllers.discovery import Kind
from lab.controllers.namespaces import FINALIZER
from lab.kube import ApiError, Kube
from tests.lab.cluster import Cluster
from tests.lab.controllers.conftest import config_map, eventually, is_gone


@pytest.fixture
def widgets(cluster: Cluster, controllers: None) -> str:
    """A custom kind, defined after the controllers started; its plural."""
    plural = f"widgets{uuid.uuid4().hex[:6]}"
    group, kind = "test.example.com", plural.capitalize()
    definitions = ApiextensionsV1Api(cluster.client())
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "singular": plural, "kind": kind, "listKind": f"{kind}List"}
    definitions.create_custom_resource_definition(
        {
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )
    custom = CustomObjectsApi(cluster.client())
    eventually(lambda: custom.list_cluster_custom_object(group, "v1", plural))
    yield plural
    definitions.delete_custom_resource_definition(f"{plural}.{group}")


def widget(plural: str, name: str) -> dict[str, object]:
    return {"apiVersion": "test.example.com/v1", "kind": plural.capitalize(), "metadata": {"name": name}}


def test_a_deleted_namespace_goes_with_all_its_content(
    core: CoreV1Api, custom: CustomObjectsApi, cluster: Cluster, namespace: str, widgets: str
) -> None:
    config_map(core, namespace, "one")
    core.create_namespaced_secret(namespace, {"metadata": {"name": "two"}, "stringData": {"a": "b"}})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    AppsV1Api(cluster.client()).create_namespaced_deployment(namespace, {"metadata": {"name": "d"}, "spec": spec})
    custom.create_namespaced_custom_object("test.example.com", "v1", namespace, widgets, widget(widgets, "w"))
    core.delete_namespace(namespace)
    eventually(lambda: is_gone(lambda: core.read_namespace(namespace)))
    assert custom.list_cluster_custom_object("test.example.com", "v1", widgets)["items"] == []
    # Nothing may reappear under a namespace of the same name.
    core.create_namespace({"metadata": {"name": namespace}})
    assert [m.metadata.name for m in core.list_namespaced_config_map(namespace).items if m.metadata.name == "one"] == []
    assert core.list_namespaced_secret(namespace).items == []


def test_content_held_by_a_finalizer_holds_the_namespace_which_says_so(core: CoreV1Api, namespace: str) -> None:
    config_map(core, namespace, "held", finalizer="example.com/hold")
    core.delete_namespace(namespace)

    def reasons() -> dict[str, str]:
        conditions = core.read_namespace(namespace).status.conditions or []
        return {each.type: each.message for each in conditions}

    messages = eventually(lambda: (found := reasons()) and len(found) == 2 and found)
    assert "configmaps. has 1 resource instances" in messages["NamespaceContentRemaining"]
    assert "example.com/hold in 1 resource instances" in messages["NamespaceFinalizersRemaining"]
    core.patch_namespaced_config_map("held", namespace, {"metadata": {"finalizers": None}})
    eventually(lambda: is_gone(lambda: core.read_namespace(namespace)))


def test_other_namespaces_are_not_touched(core: CoreV1Api, namespace: str) -> None:
    other = f"{namespace}-other"
    core.create_namespace({"metadata": {"name": other}})
    config_map(core, other, "stays")
    core.delete_namespace(namespace)
    eventually(lambda: is_gone(lambda: core.read_namespace(namespace)))
    assert core.read_namespaced_config_map("stays", other)
    core.delete_namespace(other)


def test_a_namespace_with_a_finalizer_of_somebody_else_is_emptied_but_stays(core: CoreV1Api, namespace: str) -> None:
    core.patch_namespace(namespace, {"metadata": {"finalizers": ["example.com/mine"]}})
    config_map(core, namespace, "one")
    core.delete_namespace(namespace)
    eventually(lambda: is_gone(lambda: core.read_namespaced_config_map("one", namespace)))
    eventually(lambda: not core.read_namespace(namespace).spec.finalizers)
    assert core.read_namespace(namespace).metadata.finalizers == ["example.com/mine"]
    with pytest.raises(ApiException, match="being terminated"):
        config_map(core, namespace, "late")
    core.patch_namespace(namespace, {"metadata": {"finalizers": None}})
    eventually(lambda: is_gone(lambda: core.read_namespace(namespace)))


def test_a_kind_that_vanishes_while_it_is_looked_through_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its discovery is older than its removal: the next look finds it gone."""
    known = iter([[Kind("test.example.com/v1", "Gone", "gones", True, frozenset({"list", "delete"}))], []])

    async def kinds(_: Kube) -> list[Kind]:
        return next(known)

    server = TerminatingNamespace()
    monkeypatch.setattr(namespaces, "kinds", kinds)
    asyncio.run(asyncio.wait_for(namespaces.run(cast(Kube, server)), 20))
    assert server.finalized


class TerminatingNamespace:
    """A server with one namespace, which is being deleted."""

    finalized = False

    async def events(self, path: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        yield "ADDED", self._namespace()

    async def list(self, path: str) -> list[dict[str, Any]]:
        raise ApiError(404, "NotFound", path)

    async def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        self.finalized = method == "PUT" and path.endswith("/finalize")
        return self._namespace()

    def _namespace(self) -> dict[str, Any]:
        return {"metadata": {"name": "n", "uid": "u", "deletionTimestamp": "now"}, "spec": {"finalizers": [FINALIZER]}}
