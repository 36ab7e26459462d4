"""A StatefulSet starts, stops and updates its numbered pods one at a time."""

from typing import Any


def names(world: Any) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in world.view.all("Pod"))


def test_the_next_pod_waits_until_the_one_before_is_ready(world: Any, workload: Any) -> None:
    world.add(workload("StatefulSet", replicas=3, serviceName="shop"))
    world.step()
    world.step()
    assert names(world) == ["shop-0"]
    world.make_ready(world.get("Pod", "shop-0"))
    world.step()
    assert names(world) == ["shop-0", "shop-1"]


def test_parallel_pods_start_together(world: Any, workload: Any) -> None:
    world.add(workload("StatefulSet", replicas=3, podManagementPolicy="Parallel"))
    world.step()
    assert names(world) == ["shop-0", "shop-1", "shop-2"]


def test_a_lost_pod_comes_back_under_its_own_name(world: Any, workload: Any) -> None:
    world.add(workload("StatefulSet", replicas=2))
    world.settle()
    world.view.drop(world.get("Pod", "shop-0"))
    world.settle()
    assert names(world) == ["shop-0", "shop-1"]


def test_scaling_down_takes_the_highest_number_first(world: Any, workload: Any) -> None:
    world.add(workload("StatefulSet", replicas=3))
    world.settle()
    world.change(world.get("StatefulSet", "shop"), {"spec": {"replicas": 1}})
    world.step()
    assert names(world) == ["shop-0", "shop-1"]
    world.settle()
    assert names(world) == ["shop-0"]


def test_an_update_goes_from_the_last_pod_to_the_first(world: Any, workload: Any, new_image: Any) -> None:
    world.add(workload("StatefulSet", replicas=3))
    world.settle()
    world.change(world.get("StatefulSet", "shop"), new_image("shop:2"))
    world.step()
    assert names(world) == ["shop-0", "shop-1"]
    world.settle()
    assert {pod["spec"]["containers"][0]["image"] for pod in world.view.all("Pod")} == {"shop:2"}
    status = world.get("StatefulSet", "shop")["status"]
    assert status["currentRevision"] == status["updateRevision"]


def test_pods_below_the_partition_keep_the_old_template(world: Any, workload: Any, new_image: Any) -> None:
    world.add(workload("StatefulSet", replicas=2, updateStrategy={"rollingUpdate": {"partition": 1}}))
    world.settle()
    world.change(world.get("StatefulSet", "shop"), new_image("shop:2"))
    world.settle()
    assert world.get("Pod", "shop-0")["spec"]["containers"][0]["image"] == "shop:1"
    assert world.get("Pod", "shop-1")["spec"]["containers"][0]["image"] == "shop:2"


def test_each_pod_gets_a_volume_claim_that_outlives_it(world: Any, workload: Any) -> None:
    template = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    world.add(workload("StatefulSet", replicas=2, volumeClaimTemplates=[template]))
    world.settle()
    assert {claim["metadata"]["name"] for claim in world.view.all("PersistentVolumeClaim")} == {
        "data-shop-0",
        "data-shop-1",
    }
    volumes = world.get("Pod", "shop-1")["spec"]["volumes"]
    assert volumes == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-shop-1"}}]
