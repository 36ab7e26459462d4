"""Pi-hole and the NAS: supervised, over the lab's TLS, with the lab's own passwords, which outlive a restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from lab import credentials
from lab.layout import Lab
from lab.services import pihole, synology
from tests.lab.running import running

NEW = "Another-pass-9"


def log_in_to_pihole(lab: Lab, password: str) -> requests.Response:
    authority = str(lab.certs / "ca.crt")
    return requests.post(f"{pihole.url(lab)}/api/auth", json={"password": password}, verify=authority, timeout=10)


def call_synology(lab: Lab, **fields: str) -> dict[str, Any]:
    url, authority = f"{synology.url(lab)}/webapi/entry.cgi", str(lab.certs / "ca.crt")
    return dict(requests.post(url, data=fields, verify=authority, timeout=10).json())


def log_in_to_synology(lab: Lab, password: str) -> dict[str, Any]:
    login = {"api": "SYNO.API.Auth", "method": "login", "version": "7", "account": "admin", "format": "sid"}
    return call_synology(lab, **login, passwd=password)


@pytest.fixture
def passwords(lab: Lab) -> Iterator[dict[str, str]]:
    return {name: credentials.read(lab.credentials, name) for name in ("pihole_admin", "synology_admin")}


def test_they_start_with_the_labs_passwords_and_keep_new_ones_over_a_restart(
    lab: Lab, passwords: dict[str, str]
) -> None:
    services = [pihole.service(lab), synology.service(lab)]
    with running(lab, services):
        session = log_in_to_pihole(lab, passwords["pihole_admin"]).json()["session"]
        plain = requests.get(f"http://{pihole.addresses(lab)['pihole.stratdata.org:80']}/api/info/login", timeout=10)
        assert plain.json()["https_port"] == lab.ports.of("pihole-https")
        change = {"config": {"webserver": {"api": {"password": NEW}}}}
        verify = str(lab.certs / "ca.crt")
        headers = {"X-FTL-SID": session["sid"]}
        requests.patch(f"{pihole.url(lab)}/api/config", json=change, headers=headers, verify=verify, timeout=10)
        sid = log_in_to_synology(lab, passwords["synology_admin"])["data"]["sid"]
        setting = {"api": "SYNO.Core.User", "method": "set", "version": "1", "name": "admin", "password": NEW}
        assert call_synology(lab, **setting, _sid=sid)["success"]
    with running(lab, services):
        assert log_in_to_pihole(lab, passwords["pihole_admin"]).status_code == 401
        assert log_in_to_pihole(lab, NEW).status_code == 200
        assert log_in_to_synology(lab, passwords["synology_admin"])["error"]["code"] == 400
        assert log_in_to_synology(lab, NEW)["success"]
    logs = "".join(file.read_text() for file in lab.log.iterdir())
    assert [secret for secret in (NEW, *passwords.values()) if secret in logs] == []


def test_only_the_labs_own_authority_vouches_for_them(lab: Lab) -> None:
    with running(lab, [pihole.service(lab), synology.service(lab)]):
        for url in (pihole.url(lab), synology.url(lab)):
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(url, timeout=10)
