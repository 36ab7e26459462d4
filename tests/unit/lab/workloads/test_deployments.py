"""A Deployment reaches its pods, rolls within its limits and remembers its revisions."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lab.controllers.workloads.deployments import REVISION


def images(world: Any) -> list[str]:
    return sorted(pod["spec"]["containers"][0]["image"] for pod in world.view.all("Pod"))


def test_a_new_deployment_gets_its_pods_and_then_nothing_is_due(world: Any, workload: Any) -> None:
    world.add(workload("Deployment", replicas=3))
    world.settle()
    assert images(world) == ["shop:1"] * 3
    assert world.get("Deployment", "shop")["status"]["availableReplicas"] == 3
    assert list(world.due()) == []


def test_a_changed_template_replaces_every_pod_and_raises_the_revision(
    world: Any, workload: Any, new_image: Any
) -> None:
    world.add(workload("Deployment", replicas=3))
    world.settle()
    world.change(world.get("Deployment", "shop"), new_image("shop:2"))
    world.settle()
    assert images(world) == ["shop:2"] * 3
    deployment = world.get("Deployment", "shop")
    assert deployment["metadata"]["annotations"][REVISION] == "2"
    assert deployment["status"]["updatedReplicas"] == 3
    assert deployment["status"]["observedGeneration"] == 2


def test_going_back_to_an_old_template_reuses_its_replica_set(world: Any, workload: Any, new_image: Any) -> None:
    world.add(workload("Deployment"))
    world.settle()
    for image in ("shop:2", "shop:1"):
        world.change(world.get("Deployment", "shop"), new_image(image))
        world.settle()
    assert len(world.view.all("ReplicaSet")) == 2
    assert images(world) == ["shop:1"]
    assert world.get("Deployment", "shop")["metadata"]["annotations"][REVISION] == "3"


def test_recreate_never_runs_old_and_new_together(world: Any, workload: Any, new_image: Any) -> None:
    world.add(workload("Deployment", replicas=2, strategy={"type": "Recreate"}))
    world.settle()
    world.change(world.get("Deployment", "shop"), new_image("shop:2"))
    for _ in range(20):
        world.step()
        assert len(set(images(world))) <= 1
        for pod in world.view.all("Pod"):
            world.make_ready(pod)
    assert images(world) == ["shop:2"] * 2


def test_a_paused_deployment_does_not_roll(world: Any, workload: Any, new_image: Any) -> None:
    world.add(workload("Deployment"))
    world.settle()
    world.change(world.get("Deployment", "shop"), {"spec": {"paused": True}})
    world.change(world.get("Deployment", "shop"), new_image("shop:2"))
    world.settle()
    assert images(world) == ["shop:1"]


def test_old_replica_sets_beyond_the_history_limit_are_forgotten(world: Any, workload: Any, new_image: Any) -> None:
    world.add(workload("Deployment", revisionHistoryLimit=1))
    world.settle()
    for image in ("shop:2", "shop:3", "shop:4"):
        world.change(world.get("Deployment", "shop"), new_image(image))
        world.settle()
    assert len(world.view.all("ReplicaSet")) == 2


def test_scaling_down_takes_pods_that_are_not_ready_first(world: Any, workload: Any) -> None:
    world.add(workload("Deployment", replicas=3))
    for _ in range(4):
        world.step()
    first, *others = world.view.all("Pod")
    for pod in others:
        world.make_ready(pod)
    world.change(world.get("Deployment", "shop"), {"spec": {"replicas": 2}})
    for _ in range(4):
        world.step()
    assert first["metadata"]["name"] not in {pod["metadata"]["name"] for pod in world.view.all("Pod")}
    assert len(world.view.all("Pod")) == 2


@given(data=st.data(), replicas=st.integers(1, 6), surge=st.integers(0, 3), unavailable=st.integers(0, 3))
def test_a_roll_keeps_within_surge_and_unavailability_whatever_order_pods_get_ready(
    data: st.DataObject, replicas: int, surge: int, unavailable: int
) -> None:
    """At every step: at most replicas + surge pods, at least replicas - unavailable ready ones; and it ends."""
    from .conftest import World, new_image, workload

    world = World()
    limits = {"maxSurge": surge, "maxUnavailable": unavailable}
    world.add(workload("Deployment", replicas=replicas, strategy={"rollingUpdate": limits}))
    world.settle()
    world.change(world.get("Deployment", "shop"), new_image("shop:2"))
    missing = unavailable or (0 if surge else 1)
    for _ in range(100):
        world.step()
        pods = world.view.all("Pod")
        assert len(pods) <= replicas + surge
        assert sum(bool(pod.get("status")) for pod in pods) >= replicas - missing
        waiting = [pod for pod in pods if not pod.get("status")]
        if waiting:
            world.make_ready(data.draw(st.sampled_from(waiting)))
    assert images(world) == ["shop:2"] * replicas
