"""Grafana's double: what its login proves, how it locks, and what each of its ways to a new password does."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.doubles.grafana import Grafana
from lab.doubles.passwords import hashed
from lab.doubles.statefile import StateFile
from tests.lab.doubles.stage import Clock, served

OLD, NEW = "Heron&Walnut!1234", "a-new-password"


class Client:
    """Requests to a running double."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, password: str = OLD, user: str = "admin", **more: Any) -> requests.Response:
        return requests.request(method, self.url + path, auth=(user, password), timeout=10, **more)

    def user(self, password: str, user: str = "admin") -> int:
        return self.ask("GET", "/api/user", password, user).status_code

    def change(self, old: str, new: str, *, login: str | None = None) -> requests.Response:
        body = {"oldPassword": old, "newPassword": new, "confirmNew": new}
        return self.ask("PUT", "/api/user/password", login or old, json=body)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "grafana.json")


@pytest.fixture
def grafana(state: StateFile, clock: Clock) -> Iterator[Client]:
    double = Grafana(state, clock)
    assert double.seed("admin", OLD)
    with served(double.app()) as url:
        yield Client(url)


def add_user(state: StateFile, login: str, *, admin: bool) -> None:
    with state.changing() as content:
        content["users"].append({"id": 2, "login": login, "password": hashed(OLD), "admin": admin})


def test_a_login_is_answered_by_its_user_or_by_401_in_grafanas_words(grafana: Client) -> None:
    right = grafana.ask("GET", "/api/user")
    assert (right.status_code, right.json()["login"], right.json()["isGrafanaAdmin"]) == (200, "admin", True)
    wrong = grafana.ask("GET", "/api/user", "junk")
    assert wrong.status_code == 401
    assert (wrong.json()["message"], wrong.json()["messageId"]) == (
        "Invalid username or password",
        "password-auth.failed",
    )


def test_health_needs_no_login_and_proves_nothing(grafana: Client) -> None:
    assert requests.get(f"{grafana.url}/api/health", timeout=10).json()["database"] == "ok"
    assert grafana.ask("GET", "/api/health", "junk").status_code == 200
    without = requests.get(f"{grafana.url}/api/user", timeout=10)
    assert (without.status_code, without.json()["messageId"]) == (401, "auth.unauthorized")


def test_five_failures_lock_the_name_even_for_the_right_password_for_five_minutes(
    grafana: Client, clock: Clock
) -> None:
    assert [grafana.user("junk") for _ in range(4)] == [401] * 4
    assert grafana.user(OLD) == 200
    assert grafana.user("junk") == 401
    locked = grafana.ask("GET", "/api/user", OLD, "Admin")
    assert (locked.status_code, locked.json()["messageId"]) == (401, "login-attempt.blocked")
    assert locked.json()["message"] == "Invalid username or password"
    clock.now += 299
    assert grafana.user(OLD) == 401
    clock.now += 1
    assert grafana.user(OLD) == 200


def test_attempts_on_a_locked_name_do_not_prolong_the_lock(grafana: Client, clock: Clock) -> None:
    for _ in range(5):
        grafana.user("junk")
    clock.now += 200
    assert grafana.user("junk") == 401
    clock.now += 100
    assert grafana.user(OLD) == 200


def test_a_lock_is_of_one_name_only(grafana: Client, state: StateFile) -> None:
    add_user(state, "second", admin=True)
    for _ in range(6):
        grafana.user("junk")
    assert grafana.user(OLD, "second") == 200


def test_a_lock_outlives_a_restart(grafana: Client, state: StateFile, clock: Clock) -> None:
    for _ in range(5):
        grafana.user("junk")
    with served(Grafana(state, clock).app()) as url:
        assert Client(url).user(OLD) == 401


def test_a_user_changes_his_own_password(grafana: Client) -> None:
    answer = grafana.change(OLD, NEW)
    assert (answer.status_code, answer.json()) == (200, {"message": "User password changed"})
    assert (grafana.user(NEW), grafana.user(OLD)) == (200, 401)


def test_a_wrong_old_password_changes_nothing(grafana: Client) -> None:
    assert grafana.change("junk", NEW, login=OLD).status_code == 401
    assert (grafana.user(OLD), grafana.user(NEW)) == (200, 401)


def test_a_short_password_is_refused_by_grafanas_own_code(grafana: Client) -> None:
    refused = grafana.change(OLD, "abc")
    assert (refused.status_code, refused.json()["messageId"]) == (400, "password.password-policy-too-short")
    assert grafana.ask("PUT", "/api/admin/users/1/password", json={"password": "abc"}).status_code == 500
    assert grafana.change(OLD, "abcd").status_code == 200


def test_an_administrator_sets_a_password_and_forgives_the_attempts(grafana: Client, state: StateFile) -> None:
    add_user(state, "second", admin=True)
    for _ in range(5):
        grafana.user("junk")
    set_ = grafana.ask("PUT", "/api/admin/users/1/password", OLD, "second", json={"password": NEW})
    assert (set_.status_code, set_.json()["message"]) == (200, "User password updated")
    assert grafana.user(NEW) == 200


def test_only_a_server_admin_may_use_the_admin_paths(grafana: Client, state: StateFile) -> None:
    add_user(state, "viewer", admin=False)
    for method, path in (("PUT", "/1/password"), ("POST", "/1/logout")):
        answer = grafana.ask(method, f"/api/admin/users{path}", OLD, "viewer", json={"password": NEW})
        assert answer.status_code == 403
    assert grafana.user(OLD) == 200


def test_sessions_outlive_a_change_until_another_administrator_ends_them(grafana: Client, state: StateFile) -> None:
    add_user(state, "second", admin=True)
    browser = requests.Session()
    login = browser.post(f"{grafana.url}/login", json={"user": "admin", "password": OLD}, timeout=10)
    assert login.status_code == 200
    grafana.change(OLD, NEW)
    assert browser.get(f"{grafana.url}/api/user", timeout=10).status_code == 200
    own = grafana.ask("POST", "/api/admin/users/1/logout", NEW)
    assert (own.status_code, own.json()["message"]) == (400, "You cannot logout yourself")
    assert grafana.ask("POST", "/api/admin/users/1/logout", OLD, "second").json() == {"message": "User logged out"}
    assert browser.get(f"{grafana.url}/api/user", timeout=10).status_code == 401


def test_setting_a_password_as_administrator_ends_the_sessions(grafana: Client) -> None:
    browser = requests.Session()
    browser.post(f"{grafana.url}/login", json={"user": "admin", "password": OLD}, timeout=10)
    grafana.ask("PUT", "/api/admin/users/1/password", json={"password": NEW})
    assert browser.get(f"{grafana.url}/api/user", timeout=10).status_code == 401


def test_the_password_of_the_environment_seeds_the_first_start_only(state: StateFile, clock: Clock) -> None:
    assert Grafana(state, clock).seed("admin", OLD)
    double = Grafana(state, clock)
    assert not double.seed("admin", NEW)
    with served(double.app()) as url:
        assert (Client(url).user(OLD), Client(url).user(NEW)) == (200, 401)


def test_the_sidecars_reload_needs_a_login_and_counts_as_one(grafana: Client) -> None:
    path = "/api/admin/provisioning/dashboards/reload"
    assert grafana.ask("POST", path).json() == {"message": "Dashboards config reloaded"}
    for _ in range(5):
        assert grafana.ask("POST", path, "junk").status_code == 401
    assert grafana.user(OLD) == 401


def test_file_and_log_hold_no_password(grafana: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "lab.doubles"), caplog.at_level(logging.DEBUG, "aiohttp"):
        grafana.user("junk-password")
        grafana.change(OLD, NEW)
        grafana.ask("GET", f"/api/user?password={NEW}", NEW)
    assert "PUT /api/user/password 200" in caplog.text
    content = (tmp_path / "grafana.json").read_text()
    assert [word for word in (OLD, NEW, "junk-password") if word in content + caplog.text] == []
    assert stat.S_IMODE((tmp_path / "grafana.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("body", ["", "[1]", '{"oldPassword": 5}', '{"oldPassword": "\\ud800", "newPassword": "abcd"}'])
def test_a_body_that_is_none_is_refused(grafana: Client, body: str) -> None:
    assert grafana.ask("PUT", "/api/user/password", data=body).status_code in (400, 401)
    assert grafana.ask("PUT", "/api/admin/users/9/password", json={"password": NEW}).status_code == 404
    assert grafana.user(OLD) == 200
