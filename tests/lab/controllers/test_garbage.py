"""Owners and what becomes of their dependents."""

import time
import uuid
from typing import Any

from kubernetes.client import CoreV1Api, CustomObjectsApi

from tests.lab.controllers.conftest import config_map, eventually, is_gone, owner_reference
from tests.lab.controllers.test_namespaces import widget, widgets  # noqa: F401 (a fixture)


def exists(core: CoreV1Api, namespace: str, name: str) -> bool:
    return not is_gone(lambda: core.read_namespaced_config_map(name, namespace))


def delete(core: CoreV1Api, namespace: str, name: str, policy: str) -> None:
    core.delete_namespaced_config_map(name, namespace, propagation_policy=policy)


def settle(core: CoreV1Api, namespace: str) -> None:
    """Waits until the collector has certainly looked: a dependent of nobody, made now, is gone."""
    name = f"probe-{uuid.uuid4().hex[:6]}"
    nobody = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": str(uuid.uuid4())}
    config_map(core, namespace, name, nobody)
    eventually(lambda: not exists(core, namespace, name))


def test_dependents_go_with_their_owner_down_the_line(core: CoreV1Api, namespace: str) -> None:
    owner = config_map(core, namespace, "owner")
    child = config_map(core, namespace, "child", owner_reference(owner))
    config_map(core, namespace, "grandchild", owner_reference(child))
    delete(core, namespace, "owner", "Background")
    eventually(lambda: not exists(core, namespace, "child") and not exists(core, namespace, "grandchild"))


def test_a_dependent_with_an_owner_left_stays_and_forgets_the_lost_one(core: CoreV1Api, namespace: str) -> None:
    first, second = (config_map(core, namespace, name) for name in ("first", "second"))
    config_map(core, namespace, "child", owner_reference(first), owner_reference(second))
    delete(core, namespace, "first", "Background")

    def owners() -> list[Any]:
        return [each.name for each in core.read_namespaced_config_map("child", namespace).metadata.owner_references]

    eventually(lambda: owners() == ["second"])
    delete(core, namespace, "second", "Background")
    eventually(lambda: not exists(core, namespace, "child"))


def test_a_foreground_deletion_waits_for_the_dependents_that_block_it(core: CoreV1Api, namespace: str) -> None:
    owner = config_map(core, namespace, "owner")
    config_map(core, namespace, "child", owner_reference(owner, blocks=True), finalizer="example.com/hold")
    delete(core, namespace, "owner", "Foreground")
    eventually(lambda: core.read_namespaced_config_map("child", namespace).metadata.deletion_timestamp)
    settle(core, namespace)
    assert core.read_namespaced_config_map("owner", namespace).metadata.finalizers == ["foregroundDeletion"]
    core.patch_namespaced_config_map("child", namespace, {"metadata": {"finalizers": None}})
    eventually(lambda: not exists(core, namespace, "owner"))


def test_a_foreground_deletion_does_not_wait_for_a_dependent_that_does_not_block(
    core: CoreV1Api, namespace: str
) -> None:
    owner = config_map(core, namespace, "owner")
    config_map(core, namespace, "child", owner_reference(owner), finalizer="example.com/hold")
    delete(core, namespace, "owner", "Foreground")
    eventually(lambda: not exists(core, namespace, "owner"))
    core.patch_namespaced_config_map("child", namespace, {"metadata": {"finalizers": None}})


def test_a_foreground_deletion_reaches_the_dependents_of_dependents_first(core: CoreV1Api, namespace: str) -> None:
    owner = config_map(core, namespace, "owner")
    child = config_map(core, namespace, "child", owner_reference(owner, blocks=True))
    config_map(core, namespace, "grandchild", owner_reference(child, blocks=True), finalizer="example.com/hold")
    delete(core, namespace, "owner", "Foreground")
    eventually(lambda: core.read_namespaced_config_map("grandchild", namespace).metadata.deletion_timestamp)
    assert exists(core, namespace, "child")
    core.patch_namespaced_config_map("grandchild", namespace, {"metadata": {"finalizers": None}})
    eventually(lambda: not exists(core, namespace, "child") and not exists(core, namespace, "owner"))


def test_an_orphaning_deletion_leaves_the_dependents_without_owner(core: CoreV1Api, namespace: str) -> None:
    owner = config_map(core, namespace, "owner")
    config_map(core, namespace, "child", owner_reference(owner))
    delete(core, namespace, "owner", "Orphan")
    eventually(lambda: not exists(core, namespace, "owner"))
    settle(core, namespace)
    assert core.read_namespaced_config_map("child", namespace).metadata.owner_references is None


def test_an_owner_is_its_uid_not_its_name(core: CoreV1Api, namespace: str) -> None:
    """A new object under the old owner's name inherits nothing."""
    old = config_map(core, namespace, "owner")
    reference = owner_reference(old)
    delete(core, namespace, "owner", "Background")
    config_map(core, namespace, "owner")
    config_map(core, namespace, "child", reference)
    eventually(lambda: not exists(core, namespace, "child"))
    assert exists(core, namespace, "owner")


def test_an_owner_in_another_namespace_is_none(core: CoreV1Api, namespace: str) -> None:
    elsewhere = f"{namespace}-elsewhere"
    core.create_namespace({"metadata": {"name": elsewhere}})
    owner = config_map(core, elsewhere, "owner")
    config_map(core, namespace, "child", owner_reference(owner))
    eventually(lambda: not exists(core, namespace, "child"))
    core.delete_namespace(elsewhere)


def test_a_dependent_of_a_kind_that_is_not_served_is_left_alone(core: CoreV1Api, namespace: str) -> None:
    """Its owner may exist: nobody can know."""
    reference = {"apiVersion": "gone.example.com/v1", "kind": "Gone", "name": "x", "uid": str(uuid.uuid4())}
    config_map(core, namespace, "child", reference)
    settle(core, namespace)
    assert exists(core, namespace, "child")


def test_an_object_of_no_namespace_cannot_lose_an_owner_in_one(core: CoreV1Api, namespace: str) -> None:
    owner = config_map(core, namespace, "owner")
    name = f"volume-{uuid.uuid4().hex[:8]}"
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/mnt"}}
    core.create_persistent_volume(
        {"metadata": {"name": name, "ownerReferences": [owner_reference(owner)]}, "spec": spec}
    )
    delete(core, namespace, "owner", "Background")
    settle(core, namespace)
    assert core.read_persistent_volume(name)
    core.delete_persistent_volume(name)


def test_a_kind_defined_later_owns_too(
    core: CoreV1Api,
    custom: CustomObjectsApi,
    namespace: str,
    widgets: str,  # noqa: F811
) -> None:
    owner = custom.create_namespaced_custom_object(
        "test.example.com", "v1", namespace, widgets, widget(widgets, "owner")
    )
    reference = owner_reference(owner, kind=widgets.capitalize(), version="test.example.com/v1")
    config_map(core, namespace, "child", reference)
    time.sleep(0.5)
    assert exists(core, namespace, "child")
    custom.delete_namespaced_custom_object("test.example.com", "v1", namespace, widgets, "owner")
    eventually(lambda: not exists(core, namespace, "child"))
