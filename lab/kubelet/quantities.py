"""Resource quantities of the Kubernetes API: `100m`, `8Gi`, `1e3`."""

import re
from decimal import Decimal

_FACTORS = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)}
_FACTORS |= {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)}
_FACTORS |= {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}
# `1e3` and `1E3` have an exponent, `1E` is exa.
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([a-zA-Z]*)")


def parse(text: str | float) -> Decimal:
    """The number that a quantity means, in its base unit (cores, bytes, pieces); raises ValueError."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None or match[2] not in _FACTORS:
        raise ValueError(f"{text!r} is no resource quantity (examples: 100m, 2, 512Mi)")
    return Decimal(match[1]) * _FACTORS[match[2]]
