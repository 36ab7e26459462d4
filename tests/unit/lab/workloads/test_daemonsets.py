"""A DaemonSet has one pod on every node that fits, and updates them one at a time."""

from typing import Any


def add_node(world: Any, name: str, **spec: Any) -> Any:
    return world.add({"kind": "Node", "metadata": {"name": name, "labels": {"disk": name}}, "spec": spec})


def nodes_of_pods(world: Any) -> list[str]:
    terms = (
        pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        for pod in world.view.all("Pod")
    )
    return sorted(term[0]["matchFields"][0]["values"][0] for term in terms)


def test_every_node_gets_one_pod_and_a_new_node_too(world: Any, workload: Any) -> None:
    add_node(world, "rpi-1")
    add_node(world, "rpi-2")
    world.add(workload("DaemonSet"))
    world.settle()
    assert nodes_of_pods(world) == ["rpi-1", "rpi-2"]
    add_node(world, "rpi-3")
    world.settle()
    assert nodes_of_pods(world) == ["rpi-1", "rpi-2", "rpi-3"]
    assert world.get("DaemonSet", "shop")["status"]["numberReady"] == 3


def test_a_tainted_node_is_left_out_but_a_cordoned_one_is_not(world: Any, workload: Any) -> None:
    add_node(world, "rpi-1", taints=[{"key": "dedicated", "effect": "NoSchedule"}])
    cordon = [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    add_node(world, "rpi-2", unschedulable=True, taints=cordon)
    world.add(workload("DaemonSet"))
    world.settle()
    assert nodes_of_pods(world) == ["rpi-2"]


def test_an_update_takes_one_node_at_a_time(world: Any, workload: Any, new_image: Any) -> None:
    for number in range(1, 4):
        add_node(world, f"rpi-{number}")
    world.add(workload("DaemonSet"))
    world.settle()
    world.change(world.get("DaemonSet", "shop"), new_image("shop:2"))
    for _ in range(5):
        world.step()
        assert sum(bool(pod.get("status")) for pod in world.view.all("Pod")) == 2, "nothing got ready, one may miss"
    world.settle()
    assert {pod["spec"]["containers"][0]["image"] for pod in world.view.all("Pod")} == {"shop:2"}


def test_on_delete_changes_nothing_by_itself(world: Any, workload: Any, new_image: Any) -> None:
    add_node(world, "rpi-1")
    world.add(workload("DaemonSet", updateStrategy={"type": "OnDelete"}))
    world.settle()
    world.change(world.get("DaemonSet", "shop"), new_image("shop:2"))
    world.settle()
    assert world.view.all("Pod")[0]["spec"]["containers"][0]["image"] == "shop:1"
