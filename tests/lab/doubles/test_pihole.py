"""Pi-hole's double: seats, rate limit, sessions, and what a password from the environment or none at all means."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.doubles.pihole import HIDDEN, SEATS, VALIDITY, PiHole, PiHole5
from lab.doubles.statefile import StateFile
from tests.lab.doubles.stage import Clock, served

OLD, NEW = "Heron&Walnut!1234", "a-new-password"


class Client:
    """Requests to a running double."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, sid: str = "", **more: Any) -> requests.Response:
        headers = {"X-FTL-SID": sid} if sid else {}
        return requests.request(method, self.url + path, headers=headers, timeout=10, **more)

    def log_in(self, password: str) -> requests.Response:
        return self.ask("POST", "/api/auth", json={"password": password})

    def sid(self, password: str) -> str:
        return str(self.log_in(password).json()["session"]["sid"])

    def change(self, sid: str, password: object) -> requests.Response:
        return self.ask("PATCH", "/api/config", sid, json={"config": {"webserver": {"api": {"password": password}}}})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "pihole.json")


@pytest.fixture
def pihole(state: StateFile, clock: Clock) -> Iterator[Client]:
    double = PiHole(state, clock)
    double.start(OLD)
    with served(double.app()) as url:
        yield Client(url)


def error(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["key"]


def test_a_right_login_gives_a_session_and_a_wrong_one_401(pihole: Client) -> None:
    right = pihole.log_in(OLD)
    session = right.json()["session"]
    assert (right.status_code, session["valid"], session["message"]) == (200, True, "password correct")
    assert pihole.ask("GET", "/api/auth", session["sid"]).json()["session"]["valid"] is True
    wrong = pihole.log_in("junk")
    session = wrong.json()["session"]
    assert (wrong.status_code, session["valid"], session["sid"]) == (401, False, None)
    assert session["message"] == "password incorrect"


def test_the_version_shows_without_a_login(pihole: Client) -> None:
    assert pihole.ask("GET", "/api/info/login").json()["dns"] is True
    without = pihole.ask("GET", "/api/auth")
    assert (without.status_code, without.json()["session"]["message"]) == (401, "no SID provided")
    assert pihole.ask("GET", "/admin/api.php").status_code == 404


def test_v5_has_the_old_api_and_not_the_new_one() -> None:
    with served(PiHole5().app()) as url:
        old = Client(url)
        assert old.ask("GET", "/admin/api.php?version").json() == {"version": 3}
        assert old.ask("GET", "/admin/api.php?summary").json() == []
        assert [old.ask("GET", path).status_code for path in ("/api/auth", "/api/info/login")] == [404, 404]
        assert old.log_in(OLD).status_code == 404


def test_a_login_takes_one_of_sixteen_seats_for_half_an_hour(pihole: Client, clock: Clock) -> None:
    sids = [pihole.sid(OLD) for _ in range(SEATS)]
    assert error(pihole.log_in(OLD)) == (429, "api_seats_exceeded")
    assert pihole.ask("DELETE", "/api/auth", sids[0]).status_code == 204
    assert pihole.log_in(OLD).status_code == 200
    assert error(pihole.log_in(OLD)) == (429, "api_seats_exceeded")
    clock.now += VALIDITY + 1
    assert pihole.ask("GET", "/api/auth", sids[1]).json()["session"]["message"] == "session expired"
    assert pihole.log_in(OLD).status_code == 200


def test_a_request_keeps_its_session_alive(pihole: Client, clock: Clock) -> None:
    sid = pihole.sid(OLD)
    for _ in range(3):
        clock.now += VALIDITY - 1
        assert pihole.ask("GET", "/api/auth", sid).status_code == 200
    assert pihole.ask("DELETE", "/api/auth", sid).status_code == 204
    assert pihole.ask("DELETE", "/api/auth", sid).status_code == 401


def test_a_fourth_wrong_password_within_a_second_is_not_looked_at_nor_is_the_right_one(
    pihole: Client, clock: Clock
) -> None:
    assert [pihole.log_in("junk").status_code for _ in range(3)] == [401] * 3
    assert error(pihole.log_in("junk")) == (429, "rate_limiting")
    assert error(pihole.log_in(OLD)) == (429, "rate_limiting")
    clock.now += 1
    assert pihole.log_in(OLD).status_code == 200


def test_right_passwords_do_not_count(pihole: Client) -> None:
    assert [pihole.log_in(OLD).status_code for _ in range(6)] == [200] * 6


def test_a_change_ends_all_sessions_the_callers_too(pihole: Client) -> None:
    mine, other = pihole.sid(OLD), pihole.sid(OLD)
    changed = pihole.change(mine, NEW)
    assert (changed.status_code, changed.json()["config"]["webserver"]["api"]["password"]) == (200, HIDDEN)
    for sid in (mine, other):
        assert pihole.ask("GET", "/api/auth", sid).json()["session"]["message"] == "session unknown"
    assert pihole.log_in(OLD).status_code == 401
    assert pihole.log_in(NEW).status_code == 200


def test_a_change_needs_a_session(pihole: Client) -> None:
    assert error(pihole.change("", NEW)) == (401, "unauthorized")
    assert error(pihole.change("made-up", NEW)) == (401, "unauthorized")
    assert pihole.log_in(OLD).status_code == 200


def test_what_stands_for_the_hidden_password_changes_nothing(pihole: Client) -> None:
    sid = pihole.sid(OLD)
    assert pihole.change(sid, HIDDEN).status_code == 200
    assert pihole.ask("GET", "/api/auth", sid).status_code == 200
    assert pihole.log_in(OLD).status_code == 200


def test_without_a_password_anything_is_valid_and_nobody_has_a_session(pihole: Client) -> None:
    pihole.change(pihole.sid(OLD), "")
    junk = pihole.log_in("junk")
    session = junk.json()["session"]
    assert (junk.status_code, session["valid"], session["sid"]) == (200, True, None)
    assert session["message"] == "password incorrect"
    assert pihole.ask("GET", "/api/auth").json()["session"]["message"] == "no password set"
    assert pihole.change("", NEW).status_code == 200
    assert (pihole.log_in("junk").status_code, pihole.log_in(NEW).status_code) == (401, 200)


def test_a_password_of_the_environment_is_read_only_and_goes_with_it(state: StateFile, clock: Clock) -> None:
    PiHole(state, clock).start(OLD)
    double = PiHole(state, clock)
    double.start(OLD, forced=NEW)
    with served(double.app()) as url:
        client = Client(url)
        assert client.log_in(OLD).status_code == 401
        sid = client.sid(NEW)
        refused = client.change(sid, "another-one")
        assert error(refused) == (400, "bad_request")
        assert "environment variables" in refused.json()["error"]["message"]
        shown = client.ask("GET", "/api/config?detailed=true", sid).json()["config"]["webserver"]["api"]["password"]
        assert shown["flags"]["env_var"] is True
    without = PiHole(state, clock)
    without.start(OLD)
    with served(without.app()) as url:
        assert Client(url).log_in("junk").json()["session"]["valid"] is True


def test_the_password_file_counts_at_the_first_start_only(pihole: Client, state: StateFile, clock: Clock) -> None:
    pihole.change(pihole.sid(OLD), NEW)
    again = PiHole(state, clock)
    again.start(OLD)
    with served(again.app()) as url:
        assert (Client(url).log_in(OLD).status_code, Client(url).log_in(NEW).status_code) == (401, 200)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"password": 5}'])
def test_a_login_that_is_none_is_a_bad_request(pihole: Client, body: str) -> None:
    assert error(pihole.ask("POST", "/api/auth", data=body)) == (400, "bad_request")


def test_a_change_that_is_none_is_refused_or_leaves_the_password_alone(pihole: Client) -> None:
    sid = pihole.sid(OLD)
    assert error(pihole.ask("PATCH", "/api/config", sid, json={})) == (400, "body_error")
    assert error(pihole.change(sid, 5)) == (400, "bad_request")
    assert pihole.ask("PATCH", "/api/config", sid, json={"config": {"dns": {}}}).status_code == 200
    assert error(pihole.ask("GET", "/api/nothing", sid)) == (404, "not_found")
    assert pihole.log_in(OLD).status_code == 200


def test_file_and_log_hold_no_password(pihole: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "lab.doubles"), caplog.at_level(logging.DEBUG, "aiohttp"):
        pihole.log_in("junk-password")
        pihole.change(pihole.sid(OLD), NEW)
    assert "PATCH /api/config 200" in caplog.text
    content = (tmp_path / "pihole.json").read_text()
    assert json.loads(content)["password"]
    assert [word for word in (OLD, NEW, "junk-password") if word in content + caplog.text] == []
    assert stat.S_IMODE((tmp_path / "pihole.json").stat().st_mode) == 0o600
