"""The copies of a credential in the cluster's Secrets: read, compared and brought to the new value."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster
from infra_ops.facts.readers import reading_specs, texts_of
from infra_ops.models.consumers import Consumer, SecretRef
from infra_ops.models.copies import LAST_APPLIED
from infra_ops.models.credentials import Credential
from infra_ops.models.plans import PlanRefused, Step
from infra_ops.operations.actions import Action
from infra_ops.operations.rotation.targets.target import CannotRotate, Change


def sync(cluster: Cluster, change: Change, consumer: Consumer) -> Action:
    """The action that writes the new value into the consumer's Secret."""
    secret = consumer.secret
    path = f"/api/v1/namespaces/{secret.namespace}/secrets/{secret.name}"
    step = Step(
        f"{change.credential_id}.sync.{secret.namespace}.{secret.name}",
        f"Secret {secret.namespace}/{secret.name}",
        before=f"holds {change.old_version}",
        after=f"holds {change.new_version}",
    )

    def state(item: dict[str, Any]) -> str:
        data = item.get("data") or {}
        held = {key: data.get(key) for key in secret.fields}
        new = change.find_new()
        if new and held == _encoded(secret, new):
            return step.after
        return step.before if held == _encoded(secret, change.old.credential) else "holds neither of the two"

    def do(effects: Effects) -> None:
        item = cluster.get(path)
        if (seen := state(item)) != step.before:
            raise PlanRefused(step, seen)
        metadata = {"resourceVersion": item["metadata"]["resourceVersion"], "annotations": {LAST_APPLIED: None}}
        patch = {"metadata": metadata, "data": _encoded(secret, change.new())}
        effects.do(step.id, f"write {change.new_version} into it", lambda: cluster.merge(path, patch))

    return Action(step, lambda: state(cluster.get(path)), do)


def refuse_nobody(cluster: Cluster, consumers: list[Consumer]) -> None:
    """Raises CannotRotate when nobody is found who reads a copy: it could not be proved that its reader has moved."""
    for consumer in consumers:
        secret = consumer.secret
        if consumer.restart and not any(reading_specs(cluster, secret.namespace, secret.name)):
            raise CannotRotate(
                f"Nobody is found who reads Secret {secret.namespace}/{secret.name}. If nobody does, or only when it "
                "starts by itself, say so: `restart: false` for this consumer in the inventory."
            )


def refuse_fixed_usernames(cluster: Cluster, consumers: list[Consumer], username: str) -> None:
    """Raises CannotRotate when a consumer would go on using the old user name although the login changes."""
    for problem in _fixed_usernames(cluster, consumers, username):
        raise CannotRotate(problem)


def _fixed_usernames(cluster: Cluster, consumers: list[Consumer], username: str) -> Iterator[str]:
    name = _as_user(username)
    for consumer in consumers:
        secret = consumer.secret
        place = f"Secret {secret.namespace}/{secret.name}"
        if not any("{username}" in value for value in secret.fields.values()):
            yield (
                f"{place} takes only the password, so its readers have the user name {username!r} from elsewhere. The "
                "next login is another user: put {username} into one of its fields in the inventory first."
            )
        for key, value in secret.fields.items():
            if name.search(f"{key}={value}"):
                yield f"{place} has the user name {username!r} fixed in its field {key}: write {{username}} there."
        for who, pod in reading_specs(cluster, secret.namespace, secret.name):
            for where, text in texts_of(cluster, secret.namespace, pod):
                if name.search(text):
                    yield (
                        f"{who} fixes the user name {username!r} in {where}. The next login is another user: take it "
                        f"from {place} first."
                    )


def _as_user(name: str) -> re.Pattern[str]:
    """Finds a name where user names stand: `PGUSER=x`, `user: x`, `-U x`, `//x:`. A database may have the same one."""
    quoted = rf"{re.escape(name)}(?![\w.-])"
    return re.compile(
        rf"(?i:user|username|login|role)[\"']?\s*[=:]\s*[\"']?{quoted}"
        rf"|//{re.escape(name)}[:@]|(?:^|\s)-U\s*{quoted}|--user(?:name)?\s+{quoted}",
        re.MULTILINE,
    )


def _encoded(secret: SecretRef, credential: Credential) -> dict[str, str]:
    """The Secret's fields with the credential filled in, as the API holds them."""
    words = {
        "username": credential.username,
        "password": credential.password,
        "password_url": quote(credential.password, safe=""),
    }
    return {
        key: base64.b64encode(template.format(**words).encode()).decode() for key, template in secret.fields.items()
    }
