"""The volumes of a pod, as folders below the pod's own folder, and the paths where its containers see them."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from pathlib import Path, PurePosixPath

from lab.kube import ApiError, Kube, Object
from lab.kubelet import atomic
from lab.kubelet.atomic import File
from lab.kubelet.enclosures import Mount
from lab.kubelet.environment import expand
from lab.kubelet.references import MissingReferenceError, data_of, field_of, resource_of
from lab.kubelet.tokens import Tokens

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_API_KINDS = {"secret": "Secret", "configMap": "ConfigMap"}


class VolumeError(Exception):
    """A volume cannot be mounted now; worded as the kubelet's FailedMount event."""


class Volumes:
    """The volumes of one pod.

    `folder` is the pod's own folder, `claims` where persistent volume claims have theirs, `node` the file tree of the
    pod's node, which hostPath means. `lag` is how many seconds pass before a change of a Secret or ConfigMap shows.
    """

    def __init__(self, kube: Kube, pod: Object, *, folder: Path, claims: Path, node: Path, lag: float) -> None:
        self._kube = kube
        self._pod = pod
        self._folder = folder
        self._claims = claims
        self._node = node
        self._lag = lag
        self._tokens = Tokens(kube, pod)
        self._volumes: dict[str, Object] = {volume["name"]: volume for volume in pod["spec"].get("volumes") or []}
        self._stale = asyncio.Event()

    async def mount(self) -> None:
        """Bring every volume into being and up to date; raises VolumeError for the first that cannot be."""
        failed: list[VolumeError] = []
        for name, volume in self._volumes.items():
            try:
                await self._fill(name, volume)
            except ConnectionError:
                raise
            except (MissingReferenceError, VolumeError, OSError) as error:
                # The others go on: a deleted Secret must not keep a token from being renewed.
                failed.append(VolumeError(f'MountVolume.SetUp failed for volume "{name}" : {error}'))
        if failed:
            raise failed[0]

    async def keep_fresh(self) -> None:
        """For ever: write anew what `invalidate` named, and each service-account token that is due.

        A real kubelet writes them at its next synchronisation, about a minute after a change: so does this one.
        """
        while True:
            due = self._tokens.next_renewal()
            try:
                async with asyncio.timeout(None if due is None else max(due - time.time(), 0)):
                    await self._stale.wait()
                await asyncio.sleep(self._lag)
            except TimeoutError:
                log.debug("a token of pod %s is due", self._pod["metadata"]["name"])
            self._stale.clear()
            try:
                await self.mount()
            except VolumeError as error:  # what was deleted stays mounted as it was
                log.debug("volumes of pod %s keep their content: %s", self._pod["metadata"]["name"], error)
            except (ApiError, ConnectionError) as error:
                log.info("volumes of pod %s are not refreshed yet: %s", self._pod["metadata"]["name"], error)
                self._stale.set()
                await asyncio.sleep(_RETRY_SECONDS)

    def invalidate(self, kind: str, name: str) -> None:
        """Tell that a Secret or ConfigMap of the pod's namespace changed."""
        for volume in self._volumes.values():
            if any(_refers_to(source, kind, name) for source in _sources(volume)):
                self._stale.set()

    def update_pod(self, pod: Object) -> None:
        """Tell that the pod itself changed, which downward-API files show."""
        self._pod = pod
        if any("downwardAPI" in source for volume in self._volumes.values() for source in _sources(volume)):
            self._stale.set()

    def mounts(self, container: Object, variables: dict[str, str]) -> list[Mount]:
        """Where a container sees what; raises VolumeError. `variables` are for `subPathExpr`."""
        mounts = []
        for number, mount in enumerate(container.get("volumeMounts") or []):
            real = self._mounted(container["name"], number, mount, variables)
            read_only = mount.get("readOnly", False) or bool(_sources(self._volumes[mount["name"]]))
            mounts.append(Mount(real, PurePosixPath(mount["mountPath"]), read_only))
        return mounts

    def _mounted(self, container: str, number: int, mount: Object, variables: dict[str, str]) -> Path:
        volume = self._volumes[mount["name"]]
        path = self._path(mount["name"], volume)
        expression: str = mount.get("subPathExpr") or ""
        below: str = expand(expression, variables) if expression else mount.get("subPath") or ""
        if not below:
            return path
        if PurePosixPath(below).is_absolute() or ".." in PurePosixPath(below).parts:
            raise VolumeError(f'subPath "{below}" of volume "{mount["name"]}" leads out of the volume')
        if not _sources(volume):
            if not (path / below).exists():
                (path / below).mkdir(parents=True)
            return path / below
        # A real kubelet binds the file that it finds at the start, so later versions never show: a copy does the same.
        copy: Path = self._folder / "subpaths" / container / str(number)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not (path / below).exists():
            raise VolumeError(f'subPath "{below}" does not exist in volume "{mount["name"]}"')
        if (path / below).is_dir():
            shutil.copytree(path / below, copy, dirs_exist_ok=True)
        else:
            shutil.copy(path / below, copy)
        return copy

    def _path(self, name: str, volume: Object) -> Path:
        if "hostPath" in volume:
            return self._node / str(volume["hostPath"]["path"]).lstrip("/")
        if "persistentVolumeClaim" in volume:
            namespace = str(self._pod["metadata"]["namespace"])
            return self._claims / namespace / str(volume["persistentVolumeClaim"]["claimName"])
        return self._folder / "volumes" / name

    async def _fill(self, name: str, volume: Object) -> None:
        path = self._path(name, volume)
        if "hostPath" in volume:
            _check_host_path(path, volume["hostPath"])
        elif "emptyDir" in volume or "ephemeral" in volume or "persistentVolumeClaim" in volume:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o777)
        elif _sources(volume):
            files: dict[str, File] = {}
            for source in _sources(volume):
                files |= await self._files(source)
            atomic.write(path, files)
        else:
            kinds = ", ".join(sorted(set(volume) - {"name"}))
            raise VolumeError(f'volume "{name}" is of a kind that the lab does not have: {kinds}')

    async def _files(self, source: Object) -> dict[str, File]:
        """The files that one source of a secret, configMap, downwardAPI or projected volume contributes."""
        mode = source["defaultMode"]
        if "serviceAccountToken" in source:
            token = source["serviceAccountToken"]
            return {token["path"]: File(await self._tokens.get(token), mode)}
        if "downwardAPI" in source:
            items = source["downwardAPI"].get("items") or []
            return {item["path"]: File(self._downward(item).encode(), item.get("mode", mode)) for item in items}
        [(word, kind)] = [(word, kind) for word, kind in _API_KINDS.items() if word in source]
        reference = source[word]
        name, optional = _name(reference), reference.get("optional", False)
        data = await data_of(self._kube, kind, self._pod["metadata"]["namespace"], name, optional=optional)
        if not reference.get("items"):
            return {key: File(content, mode) for key, content in data.items()}
        missing = [item["key"] for item in reference["items"] if item["key"] not in data]
        if missing and not optional:
            raise MissingReferenceError(f"references non-existent {kind.lower()} key: {missing[0]}")
        return {
            item["path"]: File(data[item["key"]], item.get("mode", mode))
            for item in reference["items"]
            if item["key"] in data
        }

    def _downward(self, item: Object) -> str:
        if "fieldRef" in item:
            return field_of(self._pod, item["fieldRef"]["fieldPath"])
        return resource_of(self._pod, item["resourceFieldRef"], {})


def _sources(volume: Object) -> list[Object]:
    """The API-backed sources of a volume, each with its `defaultMode`; none for the other kinds of volume."""
    if "projected" in volume:
        mode = volume["projected"].get("defaultMode", 0o644)
        return [{**source, "defaultMode": mode} for source in volume["projected"].get("sources") or []]
    for word in ("secret", "configMap", "downwardAPI"):
        if word in volume:
            return [{word: volume[word], "defaultMode": volume[word].get("defaultMode", 0o644)}]
    return []


def _name(reference: Object) -> str:
    return str(reference.get("secretName") or reference.get("name"))


def _refers_to(source: Object, kind: str, name: str) -> bool:
    return any(word in source and each == kind and _name(source[word]) == name for word, each in _API_KINDS.items())


def _check_host_path(path: Path, wanted: Object) -> None:
    kind = wanted.get("type") or "DirectoryOrCreate"  # a container runtime makes a missing folder too
    if kind == "FileOrCreate":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    elif kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(parents=True)
    if kind == "Directory" and not path.is_dir():
        raise VolumeError(f"hostPath type check failed: {wanted['path']} is not a directory")
    if kind == "File" and not path.is_file():
        raise VolumeError(f"hostPath type check failed: {wanted['path']} is not a file")
