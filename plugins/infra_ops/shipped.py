"""What comes with the code, whatever INFRA_OPS_INCLUDE names: that folder is the user's, with YAML files alone."""

from __future__ import annotations

from pathlib import Path

MANIFESTS = Path(__file__).resolve().parents[2] / "include" / "manifests"
