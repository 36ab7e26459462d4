"""What every object's metadata must look like beyond names and labels: finalizers, annotations, owners."""

from __future__ import annotations

import random
from typing import Any

from lab.apiserver import names
from lab.apiserver.errors import Cause
from lab.apiserver.resources import Resource

Object = dict[str, Any]

NAME_LENGTH = 63
GENERATED = "bcdfghjklmnpqrstvwxz2456789"  # without vowels, so that no words come out
GENERATED_LENGTH = 5
ANNOTATION_BYTES = 256 * 1024
OWNER_FIELDS = {
    "apiVersion": "version must not be empty",
    "kind": "must not be empty",
    "name": "must not be empty",
    "uid": "must not be empty",
}


def generate_name(start: str) -> str:
    """``generateName`` and five characters, cut so that the whole is a label."""
    end = "".join(random.choices(GENERATED, k=GENERATED_LENGTH))  # noqa: S311 - a name, not a secret
    return start[: NAME_LENGTH - GENERATED_LENGTH] + end


def check(resource: Resource, obj: Object) -> list[Cause]:
    """What is wrong with an object's metadata: (field, message) pairs."""
    own = obj["metadata"]
    causes = list(names.name_errors(resource.plural, obj))
    annotations = own.get("annotations") or {}
    if sum(len(key.encode()) + len(str(value).encode()) for key, value in annotations.items()) > ANNOTATION_BYTES:
        causes.append(("metadata.annotations", f"Too long: may not be more than {ANNOTATION_BYTES} bytes"))
    return causes + _check_owners(own.get("ownerReferences") or [])


def _check_owners(owners: list[Object]) -> list[Cause]:
    causes = [
        (f"metadata.ownerReferences.{field}", f'Invalid value: "": {text}')
        for owner in owners
        for field, text in OWNER_FIELDS.items()
        if not owner.get(field)
    ]
    if sum(1 for owner in owners if owner.get("controller")) > 1:
        text = "Only one reference can have Controller set to true"
        causes.append(("metadata.ownerReferences", f"Invalid value: {text}"))
    return causes
