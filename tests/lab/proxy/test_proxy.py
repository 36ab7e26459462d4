"""The address of a Service leads to its ready pods, at every start the same one."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from lab.proxy.proxy import CANDIDATES
from tests.lab.proxy.conftest import Greeter, Proxy, Shop, greeting, wait_until
from tests.lab.servers import ApiServer


def test_connections_go_to_the_ready_pods_in_turn(proxy: Proxy, shop: Shop, greeters: list[Greeter]) -> None:
    shop.open()
    for greeter in greeters:
        shop.pod(greeter.name, greeter.address)
    address = proxy.wait_told(shop.name)
    wait_until(lambda: {greeting(address), greeting(address)} == {"a", "b"})
    assert sorted(greeting(address) for _ in range(6)) == ["a", "a", "a", "b", "b", "b"]


def test_a_pod_that_is_not_ready_gets_no_new_connection_and_keeps_its_old_ones(
    proxy: Proxy, shop: Shop, greeters: list[Greeter]
) -> None:
    a, b = greeters
    shop.open()
    shop.pod(a.name, a.address)
    shop.pod(b.name, b.address, ready=False)
    address = proxy.wait_told(shop.name)
    wait_until(lambda: greeting(address) == "a")
    with socket.create_connection(address, timeout=10) as standing:
        stream = standing.makefile("rwb", buffering=0)
        assert stream.readline() == b"a\n"
        shop.ready("a", False)
        shop.ready("b", True)
        wait_until(lambda: greeting(address) == "b")
        assert {greeting(address) for _ in range(5)} == {"b"}
        stream.write(b"still there\n")
        assert stream.readline() == b"still there\n"


def test_without_a_ready_pod_a_connection_is_reset(proxy: Proxy, shop: Shop, greeters: list[Greeter]) -> None:
    shop.open()
    shop.pod("a", greeters[0].address, ready=False)
    assert greeting(proxy.wait_told(shop.name)) == ""


def test_a_ready_pod_that_refuses_is_passed_over(proxy: Proxy, shop: Shop, greeters: list[Greeter]) -> None:
    shop.open()
    for greeter in greeters:
        shop.pod(greeter.name, greeter.address)
    address = proxy.wait_told(shop.name)
    wait_until(lambda: greeting(address) == "b")
    greeters[0].close()
    assert {greeting(address) for _ in range(4)} == {"b"}


def test_all_of_a_long_answer_arrives_after_the_client_has_said_all_it_had_to_say(
    proxy: Proxy, shop: Shop, greeters: list[Greeter]
) -> None:
    """A client may end its half first."""
    shop.open()
    shop.pod("a", greeters[0].address)
    address = proxy.wait_told(shop.name)
    wait_until(lambda: greeting(address) == "a")
    sent = os.urandom(3_000_000)
    with socket.create_connection(address, timeout=20) as connection:
        stream = connection.makefile("rb")
        stream.readline()
        writer = threading.Thread(target=lambda: (connection.sendall(sent), connection.shutdown(socket.SHUT_WR)))
        writer.start()
        assert stream.read() == sent
        writer.join()


def test_it_serves_on_while_the_api_server_is_away_and_follows_it_afterwards(
    proxy: Proxy, shop: Shop, greeters: list[Greeter], server: ApiServer
) -> None:
    shop.open()
    for greeter in greeters:
        shop.pod(greeter.name, greeter.address, ready=greeter.name == "a")
    address = proxy.wait_told(shop.name)
    wait_until(lambda: greeting(address) == "a")
    server.stop()
    assert greeting(address) == "a"
    server.start()
    shop.ready("a", False)
    shop.ready("b", True)
    wait_until(lambda: greeting(address) == "b")


def test_a_service_keeps_its_address_over_a_restart(proxy: Proxy, shop: Shop) -> None:
    """Its address is written in Secrets."""
    shop.open()
    before = proxy.wait_told(shop.name)
    assert (before[0], before[1] in CANDIDATES) == ("127.0.0.1", True)
    proxy.stop()
    proxy.start()
    assert proxy.wait_told(shop.name) == before


def test_a_port_that_a_stranger_took_is_waited_for_and_named(proxy: Proxy, shop: Shop) -> None:
    shop.open()
    host, port = proxy.wait_told(shop.name)
    proxy.stop()
    with socket.create_server((host, port)):
        proxy.start()
        wait_until(lambda: f"port {port} of Service {shop.name} is taken" in proxy.log.read_text())
        assert proxy.told(shop.name) is None
    assert proxy.wait_told(shop.name) == (host, port)


def test_a_service_that_is_deleted_stops_listening(proxy: Proxy, shop: Shop) -> None:
    shop.open()
    address = proxy.wait_told(shop.name)
    shop.api.delete_namespaced_service("web", shop.namespace)
    wait_until(lambda: proxy.told(shop.name) is None)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_a_server_outside_of_the_cluster_can_stand_behind_a_service(
    server: ApiServer, shop: Shop, tmp_path: Path, greeters: list[Greeter]
) -> None:
    shop.open()
    proxy = Proxy(server.kubeconfig, tmp_path, "--backend", f"{shop.name}={greeters[0].address}:7001")
    proxy.start()
    try:
        assert greeting(proxy.wait_told(shop.name)) == "a"
        assert set(json.loads(proxy.addresses.read_text())) >= {shop.name}
    finally:
        proxy.stop()
