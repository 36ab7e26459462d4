"""Amounts of resources, such as `500m`, `1Gi` and `2` (k8s.io/apimachinery/pkg/api/resource)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

SYNTAX = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def amount(quantity: Any) -> Decimal | None:
    """The value of a quantity; None when it is missing or none."""
    if quantity is None:
        return None
    text = str(quantity).strip()
    number = text.rstrip("numkMGTPEiK")
    suffix = text[len(number) :]
    if not _NUMBER.fullmatch(number) or suffix not in _BINARY | _SUFFIXES:
        return None
    scale = Decimal(1024) ** _BINARY[suffix] if suffix in _BINARY else Decimal(10) ** _SUFFIXES[suffix]
    return Decimal(number) * scale
