"""What the lab does for a container image: run a command, hold the container without a process, or refuse it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Image:
    """An image that the lab knows.

    `run` and `arguments` are what ENTRYPOINT and CMD are in a Dockerfile: a container's `command` replaces both, its
    `args` replace the second. A `held` container is reported as running and has no process.
    """

    held: bool = False
    run: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class Images:
    """The images of an images file: from repository (without tag) to `pause` or `{run, arguments, environment}`."""

    def __init__(self, images: Mapping[str, Image]) -> None:
        self._images = {repository(name): image for name, image in images.items()}

    @classmethod
    def load(cls, path: Path, places: Mapping[str, str]) -> Images:
        """Reads an images file; `{name}` in its texts stands for `places[name]`. Raises ValueError naming the entry."""
        images = {}
        for name, entry in (yaml.safe_load(path.read_text()) or {}).items():
            try:
                images[name] = Image(held=True) if entry == "pause" else _image(places=places, **entry)
            except (TypeError, KeyError) as error:
                raise ValueError(
                    f"{path}: image {name!r} must be `pause`, or have lists `run` and `arguments` and a mapping"
                    f" `environment`: {error}"
                ) from error
        return cls(images)

    def find(self, reference: str) -> Image | None:
        """The image that a container's `image` names, whatever its tag or digest; None if the lab has none."""
        return self._images.get(repository(reference))


def repository(reference: str) -> str:
    """The repository of an image reference without tag, digest and Docker Hub's default prefixes."""
    name = reference.partition("@")[0]
    if ":" in name.rpartition("/")[2]:
        name = name.rpartition(":")[0]
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        name = name.removeprefix(prefix)
    return name


def canonical(reference: str) -> str:
    """The full name under which a container runtime would ask a registry: with host, `library/` and tag."""
    name = repository(reference)
    rest = reference.partition("@")[0].rpartition("/")[2].partition(":")[2] or "latest"
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    return f"{name}@{reference.partition('@')[2]}" if "@" in reference else f"{name}:{rest}"


def _image(
    *,
    places: Mapping[str, str],
    run: list[str] | None = None,
    arguments: list[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Image:
    return Image(
        run=tuple(word.format_map(places) for word in run or ()),
        arguments=tuple(word.format_map(places) for word in arguments or ()),
        environment={name: value.format_map(places) for name, value in (environment or {}).items()},
    )
