"""What K3s reads at its start: config.yaml and the drop-ins in config.yaml.d.

A later file's value replaces an earlier one's; `key+` appends to it; https://docs.k3s.io/installation/configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.nodes.places import CONFIG, DROP_INS

_SECRET_FLAGS = {"token", "agent-token"}


class ConfigError(Exception):
    """K3s cannot read its configuration; the text is its own."""


@dataclass(frozen=True)
class Config:
    """Flags and their values, as texts."""

    flags: dict[str, list[str]]

    def switch(self, name: str) -> bool:
        """A flag that is on or off."""
        return self.flags.get(name, ["false"])[-1] == "true"

    def text(self, name: str, default: str = "") -> str:
        return self.flags.get(name, [default])[-1]

    def component(self, name: str) -> dict[str, str]:
        """`key=value` arguments for a component (`kube-apiserver-arg`); the last value of a key counts."""
        pairs = (argument.removeprefix("--").partition("=") for argument in self.flags.get(name, []))
        return {key: value or "true" for key, _, value in pairs}

    def arguments(self, role: str) -> list[str]:
        """The command line that this comes to, as K3s tells it in the annotation k3s.io/node-args."""
        words = [role]
        for name, values in self.flags.items():
            for value in values:
                words += [f"--{name}"] if value == "true" else [f"--{name}", _shown(name, value)]
        return words


def read(root: Path) -> Config:
    """The configuration of the node whose disk is `root`. Raises ConfigError."""
    flags: dict[str, list[str]] = {}
    for file in (root / CONFIG, *sorted((root / DROP_INS).glob("*.yaml"))):
        for name, value in _items(file):
            values = [_text(item) for item in value] if isinstance(value, list) else [_text(value)]
            if name.endswith("+"):
                flags.setdefault(name[:-1], []).extend(values)
            else:
                flags[name] = values
    return Config(flags)


def _items(file: Path) -> list[tuple[str, Any]]:
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        return []
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(f"yaml: {where}{getattr(error, 'problem', 'invalid UTF-8')}") from None
    if content is None:
        return []
    if not isinstance(content, dict):
        raise ConfigError("yaml: unmarshal errors: cannot unmarshal into yaml.MapSlice")
    return [(str(name), value) for name, value in content.items()]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(name: str, value: str) -> str:
    return "********" if name in _SECRET_FLAGS else value
