"""What comes with the code is found beside it, also where the user's own folder holds three YAML files and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra_ops.airflow.areas import worker_pod
from infra_ops.operations.store import manifests, settings


def test_the_manifests_of_the_store_do_not_come_from_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFRA_OPS_INCLUDE", str(tmp_path))
    assert "StatefulSet" in {item["kind"] for item in manifests.objects("openbao")}
    assert "infra-ops-credentials" in settings.policies()
    assert Path(worker_pod("platform")["pod_template_file"]).is_file()
