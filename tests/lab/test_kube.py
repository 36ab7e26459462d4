"""The lab's own Kubernetes client against the lab's API server: errors, apply, and watches that survive everything."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from lab.kube import ApiError, Kube
from tests.lab.servers import ApiServer

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
Event = tuple[str, str]  # kind, name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    """An API server that remembers ten events only, and that the tests may restart."""
    with ApiServer(tmp_path_factory.mktemp("kube"), arguments=["--history", "10"]) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(server: ApiServer) -> None:
    server.request("DELETE", CONFIG_MAPS).raise_for_status()


def put(server: ApiServer, name: str, value: str = "") -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}
    query = {"fieldManager": "test", "force": "true"}
    headers = {"Content-Type": "application/apply-patch+yaml"}
    server.request(
        "PATCH", f"{CONFIG_MAPS}/{name}", params=query, headers=headers, data=json.dumps(body)
    ).raise_for_status()


def delete(server: ApiServer, name: str) -> None:
    server.request("DELETE", f"{CONFIG_MAPS}/{name}").raise_for_status()


def speak(server: ApiServer, conversation: Callable[[Kube], Coroutine[Any, Any, None]]) -> None:
    """Run a test's conversation with the server."""

    async def run() -> None:
        async with Kube(server.kubeconfig) as kube:
            await asyncio.wait_for(conversation(kube), 60)

    asyncio.run(run())


class Watched:
    """The events of a watch, one by one."""

    def __init__(self, kube: Kube) -> None:
        self._events: AsyncIterator[tuple[str, dict[str, Any]]] = kube.events(CONFIG_MAPS)

    async def until_synced(self) -> list[Event]:
        seen = []
        async for kind, obj in self._events:
            if kind == "SYNCED":
                return seen
            seen.append((kind, obj["metadata"]["name"]))
        raise AssertionError("the watch ended")

    async def next(self) -> Event:
        kind, obj = await anext(self._events)
        return kind, obj["metadata"]["name"] if obj else ""


def test_a_refusal_carries_code_reason_and_message(server: ApiServer) -> None:
    async def conversation(kube: Kube) -> None:
        with pytest.raises(ApiError) as refused:
            await kube.request("GET", f"{CONFIG_MAPS}/none")
        assert (refused.value.status, refused.value.reason) == (404, "NotFound")
        assert refused.value.message == 'configmaps "none" not found'

    speak(server, conversation)


def test_a_server_that_does_not_answer_is_a_connection_error(server: ApiServer) -> None:
    async def conversation(kube: Kube) -> None:
        with pytest.raises(ConnectionError, match="does not answer"):
            await kube.request("GET", CONFIG_MAPS)

    server.kill()
    try:
        speak(server, conversation)
    finally:
        server.start()


def test_a_list_is_fetched_in_pages_and_its_items_carry_their_kind(server: ApiServer) -> None:
    for name in ("a", "b", "c"):
        put(server, name)

    async def conversation(kube: Kube) -> None:
        items = await kube.list(CONFIG_MAPS, limit="2")
        assert [item["metadata"]["name"] for item in items] == ["a", "b", "c"]
        assert {(item["apiVersion"], item["kind"]) for item in items} == {("v1", "ConfigMap")}

    speak(server, conversation)


def test_apply_finds_the_path_by_discovery_and_reports_conflicts(server: ApiServer) -> None:
    def config_map(value: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "mine", "namespace": "default"},
            "data": {"key": value},
        }

    async def conversation(kube: Kube) -> None:
        await kube.apply(config_map("one"), manager="first")
        with pytest.raises(ApiError) as refused:
            await kube.apply(config_map("two"), manager="second")
        assert refused.value.status == 409
        forced = await kube.apply(config_map("two 🔴"), manager="second", force=True)
        assert forced["data"] == {"key": "two 🔴"}
        node = await kube.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}, manager="first")
        assert node["kind"] == "Node"
        with pytest.raises(ApiError, match="no resource of kind Nonsense in v1"):
            await kube.apply({"apiVersion": "v1", "kind": "Nonsense", "metadata": {"name": "n"}}, manager="first")

    speak(server, conversation)


def test_a_watch_begins_with_what_is_there_and_goes_on(server: ApiServer) -> None:
    put(server, "old")

    async def conversation(kube: Kube) -> None:
        watched = Watched(kube)
        assert await watched.until_synced() == [("ADDED", "old")]
        put(server, "new")
        put(server, "new", "changed")
        delete(server, "old")
        assert [await watched.next() for _ in range(3)] == [("ADDED", "new"), ("MODIFIED", "new"), ("DELETED", "old")]

    speak(server, conversation)


def test_a_watch_survives_a_killed_server_and_tells_what_happened_meanwhile(server: ApiServer) -> None:
    """Also that an object was deleted and made again under its old name."""
    for name in ("kept", "changed", "deleted", "replaced"):
        put(server, name)

    async def conversation(kube: Kube) -> None:
        watched = Watched(kube)
        await watched.until_synced()
        next_event = asyncio.ensure_future(watched.next())
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        put(server, "changed", "value")
        delete(server, "deleted")
        delete(server, "replaced")
        put(server, "replaced")
        put(server, "added")
        seen = [await next_event]
        while not {("ADDED", "added"), ("ADDED", "replaced")} <= set(seen):
            seen.append(await watched.next())
        seen = [event for event in seen if event[0] != "SYNCED"]
        assert sorted(seen) == [
            ("ADDED", "added"),
            ("ADDED", "replaced"),
            ("DELETED", "deleted"),
            ("DELETED", "replaced"),
            ("MODIFIED", "changed"),
        ]

    speak(server, conversation)


def test_a_watch_lists_again_when_the_history_no_longer_reaches_back(server: ApiServer) -> None:
    """The watch is asked for only when the caller goes on after SYNCED; by then thirty changes have passed (410)."""
    put(server, "busy")

    async def conversation(kube: Kube) -> None:
        watched = Watched(kube)
        await watched.until_synced()
        for number in range(30):
            put(server, "busy", str(number))
        assert [await watched.next() for _ in range(2)] == [("MODIFIED", "busy"), ("SYNCED", "")]

    speak(server, conversation)


def test_the_first_list_may_be_refused(server: ApiServer) -> None:
    """A watch that can never work says so at once."""

    async def conversation(kube: Kube) -> None:
        with pytest.raises(ApiError, match="404"):
            await anext(kube.events("/api/v1/nonsense"))

    speak(server, conversation)


@pytest.mark.parametrize("text", ["", "{}", "current-context: x\ncontexts: []\n"])
def test_an_incomplete_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(ValueError, match="kubeconfig is no complete kubeconfig"):
        Kube(tmp_path / "kubeconfig")
