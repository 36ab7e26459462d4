import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.apiserver.schemas import Schema, Schemas

Object = dict[str, Any]

WIDGET = yaml.safe_load("""
type: object
properties:
  spec:
    type: object
    required: [size]
    properties:
      size: {type: integer, minimum: 1, maximum: 10}
      color: {type: string, enum: [red, green], default: red}
      code: {type: string, pattern: '^[a-z]+$', minLength: 2, maxLength: 4}
      ratio: {type: number, exclusiveMinimum: true, minimum: 0}
      port: {x-kubernetes-int-or-string: true}
      tags: {type: array, maxItems: 2, items: {type: string}, x-kubernetes-list-type: set}
      free: {type: object, x-kubernetes-preserve-unknown-fields: true}
      labels: {type: object, additionalProperties: {type: string}, maxProperties: 2}
      parts:
        type: array
        x-kubernetes-list-type: map
        x-kubernetes-list-map-keys: [name, side]
        items:
          type: object
          required: [name]
          properties:
            name: {type: string}
            side: {type: string, default: left}
            weight: {type: integer, default: 1}
      where:
        type: object
        x-kubernetes-map-type: atomic
        properties: {room: {type: string}, shelf: {type: string}}
      template: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}
  status:
    type: object
    properties: {phase: {type: string}}
""")


@pytest.fixture(scope="session")
def schemas() -> Schemas:
    """The built-in schemas and one custom kind, Widget in example.com/v1."""
    loaded = Schemas()
    loaded.add_custom("example.com", "v1", "Widget", WIDGET)
    return loaded


@pytest.fixture(scope="session")
def deployment(schemas: Schemas) -> Schema:
    found = schemas.find("apps", "v1", "Deployment")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def widget(schemas: Schemas) -> Schema:
    found = schemas.find("example.com", "v1", "Widget")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def schema_of(schemas: Schemas) -> Callable[[Object], Schema | None]:
    """The schema of an object by what it says it is."""

    def find(obj: Object) -> Schema | None:
        group, _, version = obj["apiVersion"].rpartition("/")
        return schemas.find(group, version, obj["kind"])

    return find


@pytest.fixture
def web() -> Object:
    """A small Deployment."""
    return copy.deepcopy(WEB)


WEB = yaml.safe_load("""
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: app
          image: example/app:1
          ports: [{containerPort: 80}]
""")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``case`` runs once for each entry of the YAML file of its module's name in cases/."""
    if "case" in metafunc.fixturenames:
        file = Path(__file__).parent / "cases" / (Path(metafunc.module.__file__).stem.removeprefix("test_") + ".yaml")
        found = yaml.safe_load(file.read_text())
        metafunc.parametrize("case", [pytest.param(case, id=case["name"]) for case in found])
