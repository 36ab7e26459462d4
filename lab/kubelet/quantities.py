"""Resource quantities of the Kubernetes API: `100m`, `8Gi`, `1e3`."""

from decimal import Decimal, InvalidOperation

_FACTORS = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)}
_FACTORS |= {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)}
_FACTORS |= {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}


def parse(text: str | float) -> Decimal:
    """The number that a quantity means, in its base unit (cores, bytes, pieces); raises ValueError."""
    text = str(text)
    # `1e3` and `1E3` are exponents, `1E` is exa: a suffix is what follows the last digit or dot.
    digits = text.rstrip("numkMGTPEKi")
    suffix = text[len(digits) :]
    try:
        return Decimal(digits) * _FACTORS[suffix]
    except (InvalidOperation, KeyError) as error:
        raise ValueError(f"{text!r} is no resource quantity (examples: 100m, 2, 512Mi)") from error
