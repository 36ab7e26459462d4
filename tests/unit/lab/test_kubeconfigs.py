"""What the lab reads of a kubeconfig that it did not write."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import kubeconfigs
from lab.errors import LabError

PEM = "-----BEGIN CERTIFICATE-----\n"


def kubeconfig(folder: Path, **cluster: Any) -> Path:
    content = {
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://one.example:6443", **cluster}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "current-context": "x",
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_authority_is_read_from_the_kubeconfig_or_from_the_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(PEM)
    inline = {"certificate-authority-data": base64.b64encode(PEM.encode()).decode()}
    for cluster in ({"certificate-authority": "ca.crt"}, inline):
        assert kubeconfigs.server_of(kubeconfig(tmp_path, **cluster)) == ("https://one.example:6443", PEM)


def test_a_kubeconfig_without_an_authority_is_called_so(tmp_path: Path) -> None:
    """`insecure-skip-tls-verify` does for a client, but OpenBao has no such switch."""
    path = kubeconfig(tmp_path, **{"insecure-skip-tls-verify": True})
    with pytest.raises(LabError, match=rf"^{path} names no certificate authority for https://one.example:6443, "):
        kubeconfigs.server_of(path)
