"""Which pods a Service's address leads to."""

from typing import Any

import pytest

from lab.proxy.view import ServicePort, View

WEB = ServicePort("shop", "web", 80)


def service(**fields: Any) -> dict[str, Any]:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], **fields}
    return {"metadata": {"namespace": "shop", "name": "web"}, "spec": spec}


def pod(name: str = "a", *, ready: str = "True", namespace: str = "shop", app: str = "web", **metadata: Any) -> Any:
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": app, "more": "x"}, **metadata},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"podIP": f"127.42.0.{ord(name)}", "conditions": [{"type": "Ready", "status": ready}]},
    }


def view(*pods: dict[str, Any], of: dict[str, Any] | None = None) -> View:
    view = View({})
    view.see_service("ADDED", of or service())
    for each in pods:
        view.see_pod("ADDED", each)
    return view


def test_only_ready_pods_of_the_selector_and_namespace_get_connections() -> None:
    seen = view(pod("a"), pod("b", ready="False"), pod("c", app="api"), pod("d", namespace="other"), pod("e"))
    assert seen.endpoints(WEB) == [("127.42.0.97", 80), ("127.42.0.101", 80)]


def test_a_pod_that_is_being_deleted_gets_no_more() -> None:
    """It may still be ready for the whole of its grace period."""
    seen = view(pod("a"))
    seen.see_pod("MODIFIED", pod("a", deletionTimestamp="2025-01-01T00:00:00Z"))
    assert seen.endpoints(WEB) == []


def test_a_pod_that_has_gone_is_forgotten() -> None:
    seen = view(pod("a"), pod("b"))
    seen.see_pod("DELETED", pod("a"))
    assert seen.endpoints(WEB) == [("127.42.0.98", 80)]


@pytest.mark.parametrize(("target", "ports"), [(8080, [8080]), ("http", [8080]), ("absent", [])])
def test_a_target_port_is_a_number_or_a_name_of_the_pods(target: int | str, ports: list[int]) -> None:
    seen = view(pod("a"), of=service(ports=[{"port": 80, "targetPort": target}]))
    assert [port for _, port in seen.endpoints(WEB)] == ports


def test_a_backend_stands_in_for_pods() -> None:
    seen = View({"shop/web:80": ("127.0.0.1", 21000)})
    seen.see_service("ADDED", service(selector=None))
    seen.see_pod("ADDED", pod("a"))
    assert (seen.ports(), seen.endpoints(WEB)) == ({WEB}, [("127.0.0.1", 21000)])


def test_services_without_selector_and_other_protocols_have_no_address() -> None:
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    assert view(of=service(ports=ports)).ports() == {ServicePort("shop", "web", 53)}
    assert view(of=service(selector=None)).ports() == set()


def test_a_service_that_has_gone_leads_nowhere() -> None:
    seen = view(pod("a"))
    seen.see_service("DELETED", service())
    assert (seen.ports(), seen.endpoints(WEB)) == (set(), [])
