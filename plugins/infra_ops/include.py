"""The files under include/: what this cluster is meant to be, and what its owner wants of it.

INFRA_OPS_INCLUDE names another folder; without it, it is the one beside plugins/.
"""

from __future__ import annotations

import os
from pathlib import Path

from infra_ops.models.documents import DocumentError, Model, parse
from infra_ops.models.inventory import Inventory
from infra_ops.models.k3s_versions import K3sEncryption
from infra_ops.models.roadmap import Roadmap

DAGS = Path(__file__).resolve().parents[2] / "dags"


def folder() -> Path:
    return Path(os.environ.get("INFRA_OPS_INCLUDE") or Path(__file__).resolve().parents[2] / "include")


def inventory() -> Inventory:
    """include/cluster.yaml. Raises DocumentError, also when `unattended` names what is no DAG: that would only plan for
    ever, and look well.
    """
    read = _read("cluster.yaml", Inventory)
    if DAGS.is_dir():  # a toolbox has none, and nothing runs there on a schedule
        known = sorted(path.stem for path in DAGS.rglob("*.py"))
        if unknown := [dag for dag in read.unattended if dag not in known]:
            file, dags = folder() / "cluster.yaml", ", ".join(known)
            raise DocumentError(f"{file}: unattended names {', '.join(unknown)}, which is none of: {dags}.")
    return read


def roadmap() -> Roadmap:
    """include/roadmap.yaml. Raises DocumentError."""
    return _read("roadmap.yaml", Roadmap)


def k3s_encryption() -> K3sEncryption:
    """include/k3s/encryption.yaml, a part of the package and not of what describes a cluster. Raises DocumentError."""
    path = Path(__file__).resolve().parents[2] / "include" / "k3s" / "encryption.yaml"
    return parse(path.read_text(encoding="utf-8"), K3sEncryption, str(path))


def _read(name: str, model: type[Model]) -> Model:
    path = folder() / name
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path} cannot be read: it is no UTF-8 text (byte {error.start}).") from error
    return parse(text, model, str(path))
