"""DSM's double: its codes, Auto Block by address, what a change of a user blanks, and the password policy."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from lab.doubles.dsm_policy import DEFAULT_POLICY, accepts
from lab.doubles.passwords import hashed
from lab.doubles.statefile import StateFile
from lab.doubles.synology import DAY, IDLE, Dsm, new_user
from tests.lab.doubles.stage import START, Clock, served

OLD, NEW = "Heron&Walnut!1234", "Another-pass-9"
USER, BLOCK = "SYNO.Core.User", "SYNO.Core.Security.AutoBlock"


class From(HTTPAdapter):
    """Connections that come from another loopback address."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, source_address=(self._address, 0))


class Client:
    """Calls to a running double."""

    def __init__(self, url: str, address: str = "127.0.0.1") -> None:
        self.url = url
        self._session = requests.Session()
        self._session.mount("http://", From(address))
        self.sid = ""

    def call(self, api: str, method: str, version: str = "1", **fields: str) -> dict[str, Any]:
        data = {"api": api, "method": method, "version": version, "_sid": self.sid, **fields}
        answer = self._session.post(f"{self.url}/webapi/entry.cgi", data=data, timeout=10)
        assert answer.status_code == 200
        return dict(answer.json())

    def log_in(self, password: str = OLD, account: str = "admin", **fields: str) -> int:
        """0, or DSM's code."""
        fields = {"account": account, "passwd": password, "format": "sid", **fields}
        answer = self.call("SYNO.API.Auth", "login", "7", **fields)
        if answer["success"]:
            self.sid = answer["data"]["sid"]
        return code(answer)

    def user(self) -> dict[str, Any]:
        additional = json.dumps(["description", "email", "expired", "password_last_change"])
        answer = self.call(USER, "get", name="admin", additional=additional)
        return dict(answer["data"]["users"][0])

    def change(self, password: str, **fields: str) -> int:
        return code(self.call(USER, "set", name="admin", new_name="admin", password=json.dumps(password), **fields))


def code(answer: dict[str, Any]) -> int:
    return 0 if answer["success"] else int(answer["error"]["code"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "synology.json")


@pytest.fixture
def dsm(state: StateFile, clock: Clock) -> Iterator[Client]:
    double = Dsm(state, clock)
    assert double.seed(OLD)
    with served(double.app()) as url:
        yield Client(url)


def alter(state: StateFile, **fields: Any) -> None:
    with state.changing() as content:
        content["users"]["admin"].update(fields)


def test_info_names_the_apis_with_their_paths_and_versions(dsm: Client) -> None:
    query = {"api": "SYNO.API.Info", "method": "query", "version": "1", "query": "SYNO.API.Auth,SYNO.No.Such"}
    for program in ("query", "entry"):
        answer = requests.get(f"{dsm.url}/webapi/{program}.cgi", params=query, timeout=10).json()
        assert answer["data"] == {"SYNO.API.Auth": {"path": "entry.cgi", "minVersion": 1, "maxVersion": 7}}
    everything = requests.get(f"{dsm.url}/webapi/query.cgi", params={**query, "query": "all"}, timeout=10).json()
    assert {USER, BLOCK} <= everything["data"].keys()


def test_a_login_gives_a_session_until_its_logout(dsm: Client) -> None:
    assert dsm.log_in() == 0
    assert dsm.user()["name"] == "admin"
    assert code(dsm.call("SYNO.API.Auth", "logout", "7")) == 0
    assert code(dsm.call(USER, "get", name="admin")) == 119


def test_a_wrong_password_and_an_unknown_account_look_the_same(dsm: Client) -> None:
    assert (dsm.log_in("junk"), dsm.log_in(account="nobody")) == (400, 400)


@pytest.mark.parametrize("refusal", [402, 408, 409, 410, 411])
def test_an_account_may_be_refused_with_the_right_password(dsm: Client, state: StateFile, refusal: int) -> None:
    alter(state, refusal=refusal)
    assert dsm.log_in() == refusal
    assert dsm.log_in("junk") == (411 if refusal == 411 else 400)


def test_a_second_factor_shows_that_the_password_was_right(dsm: Client, state: StateFile) -> None:
    alter(state, otp="123456")
    assert (dsm.log_in("junk"), dsm.log_in(), dsm.log_in(otp_code="000000")) == (400, 403, 404)
    assert dsm.log_in(otp_code="123456") == 0


def test_a_disabled_account_is_refused(dsm: Client, state: StateFile) -> None:
    alter(state, expired="now")
    assert dsm.log_in() == 401


def test_ten_failures_in_five_minutes_block_the_address_and_not_the_account(dsm: Client) -> None:
    assert [dsm.log_in("junk") for _ in range(10)] == [400] * 10
    assert (dsm.log_in(), dsm.log_in("junk")) == (407, 407)
    elsewhere = Client(dsm.url, "127.0.0.2")
    assert elsewhere.log_in() == 0
    assert code(elsewhere.call(f"{BLOCK}.Rules", "delete", type="deny", ip="127.0.0.1")) == 0
    assert dsm.log_in() == 0


def test_a_block_outlives_time_and_restart_unless_it_expires(dsm: Client, state: StateFile, clock: Clock) -> None:
    for _ in range(10):
        dsm.log_in("junk")
    clock.now += 30 * DAY
    with served(Dsm(state, clock).app()) as url:
        assert Client(url).log_in() == 407
    with state.changing() as content:
        content["autoblock"]["expire_day"] = 30
    assert dsm.log_in() == 0


def test_failures_far_apart_block_nobody(dsm: Client, clock: Clock) -> None:
    for _ in range(11):
        assert dsm.log_in("junk") == 400
        clock.now += 34
    assert dsm.log_in() == 0


def test_the_allow_list_is_never_blocked(dsm: Client) -> None:
    dsm.log_in()
    dsm.call(f"{BLOCK}.Rules", "create", type="allow", ip="127.0.0.1")
    assert dsm.call(f"{BLOCK}.Rules", "list", type="allow")["data"]["ip_info"] == [{"ip": "127.0.0.1"}]
    assert [dsm.log_in("junk") for _ in range(11)] == [400] * 11


def test_the_thresholds_of_auto_block_can_be_read(dsm: Client) -> None:
    dsm.log_in()
    assert dsm.call(BLOCK, "get")["data"] == {"enable": True, "attempts": 10, "within_mins": 5, "expire_day": 0}


def test_a_change_blanks_what_is_not_sent_back(dsm: Client, state: StateFile, clock: Clock) -> None:
    alter(state, description="the NAS", email="a@example.org", expired="2027/1/1")
    dsm.log_in()
    clock.now += 3 * DAY
    dsm.log_in()
    kept = dsm.user()
    assert dsm.change(NEW, **{key: kept[key] for key in ("description", "email", "expired")}) == 0
    assert {**dsm.user(), "password_last_change": 0} == {**kept, "password_last_change": 0}
    assert dsm.user()["password_last_change"] == int(START) // DAY + 3
    assert dsm.change(OLD) == 0
    assert [dsm.user()[key] for key in ("description", "email", "expired")] == ["", "", "normal"]


def test_a_changed_password_holds_for_the_next_login(dsm: Client) -> None:
    dsm.log_in()
    assert dsm.change(NEW) == 0
    assert dsm.user()["name"] == "admin"
    assert (dsm.log_in(OLD), dsm.log_in(NEW)) == (400, 0)


def test_get_shows_only_what_is_asked_for(dsm: Client) -> None:
    dsm.log_in()
    assert dsm.call(USER, "get", name="admin")["data"]["users"] == [{"name": "admin", "uid": 1024}]


@pytest.mark.parametrize("password", ["Short-1", "all-lower-1", "ALL-UPPER-1", "No-digit-here", "My-Admin-pass-1"])
def test_a_password_against_the_policy_is_refused_with_dsms_code(dsm: Client, password: str) -> None:
    dsm.log_in()
    assert dsm.call(f"{USER}.PasswordPolicy", "get")["data"]["strong_password"] == DEFAULT_POLICY
    assert dsm.change(password) == 3121
    assert dsm.log_in(OLD) == 0


def test_a_policy_may_ask_for_special_characters_and_remember_former_passwords() -> None:
    strict = {**DEFAULT_POLICY, "included_special_char": True, "exclude_history": True, "history_num": 1}
    assert not accepts(strict, "admin", "Abcdefg1", [])
    assert not accepts(strict, "admin", NEW, [hashed(NEW)])
    assert accepts(strict, "admin", NEW, [hashed(OLD), hashed(NEW)])


def test_a_reset_by_an_administrator_may_have_to_be_changed_first(dsm: Client, state: StateFile) -> None:
    with state.changing() as content:
        content["users"]["second"] = new_user(OLD, 0)
        content["policy"]["password_must_change"] = True
    dsm.log_in()
    assert code(dsm.call(USER, "set", name="second", password=NEW)) == 0
    assert dsm.log_in(NEW, "second") == 410
    assert dsm.change(NEW) == 0
    assert dsm.log_in(NEW) == 0


def test_only_an_administrator_may_change_users(dsm: Client, state: StateFile) -> None:
    with state.changing() as content:
        content["users"]["second"] = new_user(OLD, 0)
    assert dsm.log_in(account="second") == 0
    assert (code(dsm.call(USER, "get", name="second")), code(dsm.call(USER, "get", name="admin"))) == (0, 105)
    assert dsm.change(NEW) == 105
    assert code(dsm.call(BLOCK, "get")) == 105


def test_a_session_that_asked_for_a_token_needs_it(dsm: Client) -> None:
    answer = dsm.call("SYNO.API.Auth", "login", "6", account="admin", passwd=OLD, enable_syno_token="yes")
    dsm.sid = answer["data"]["sid"]
    assert code(dsm.call(USER, "get", name="admin")) == 119
    assert code(dsm.call(USER, "get", name="admin", SynoToken=answer["data"]["synotoken"])) == 0


def test_an_idle_session_ends(dsm: Client, clock: Clock) -> None:
    dsm.log_in()
    clock.now += IDLE
    assert code(dsm.call(USER, "get", name="admin")) == 106


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"api": "", "method": ""}, 101),
        ({"api": "SYNO.No.Such", "method": "get"}, 102),
        ({"api": USER, "method": "shave"}, 103),
        ({"api": USER, "method": "get", "version": "2"}, 104),
        ({"api": USER, "method": "get"}, 114),
        ({"api": USER, "method": "get", "name": "nobody"}, 3106),
    ],
)
def test_wrong_calls_have_codes(dsm: Client, fields: dict[str, str], wanted: int) -> None:
    dsm.log_in()
    assert code(dsm.call(**{"version": "1", **fields})) == wanted


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_password_in_the_url_is_refused_loudly(dsm: Client, method: str, caplog: pytest.LogCaptureFixture) -> None:
    login = {"api": "SYNO.API.Auth", "method": "login", "version": "7", "account": "admin", "passwd": OLD}
    refused = requests.request(method, f"{dsm.url}/webapi/entry.cgi", params=login, timeout=10)
    assert refused.status_code == 400
    assert "send it by POST" in refused.text
    assert "REFUSED" in caplog.text
    assert OLD not in caplog.text


def test_a_login_by_get_is_refused(dsm: Client) -> None:
    login = {"api": "SYNO.API.Auth", "method": "login", "version": "7", "account": "admin"}
    assert requests.get(f"{dsm.url}/webapi/entry.cgi", params=login, timeout=10).status_code == 405


def test_file_and_log_hold_no_password(dsm: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "lab.doubles"), caplog.at_level(logging.DEBUG, "aiohttp"):
        dsm.log_in("junk-password")
        dsm.log_in()
        dsm.change(NEW)
    assert "POST /webapi/entry.cgi 200" in caplog.text
    content = (tmp_path / "synology.json").read_text()
    assert [word for word in (OLD, NEW, "junk-password") if word in content + caplog.text] == []
    assert stat.S_IMODE((tmp_path / "synology.json").stat().st_mode) == 0o600
