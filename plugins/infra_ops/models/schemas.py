"""JSON schemas of the files that people edit, so that an editor can complete and check them."""

from __future__ import annotations

import json

from pydantic import BaseModel

from infra_ops.models.catalogue import Catalogue
from infra_ops.models.inventory import Inventory
from infra_ops.models.roadmap import Roadmap

FILES: dict[str, type[BaseModel]] = {"cluster": Inventory, "roadmap": Roadmap, "checks": Catalogue}


def schemas() -> dict[str, str]:
    """File name -> JSON schema, for every file under include/ that has a model."""
    return {
        f"{name}.schema.json": json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n"
        for name, model in FILES.items()
    }
