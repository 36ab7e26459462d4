"""Service-account tokens: JSON web tokens that the server signs, bound to an account and maybe to a pod.

Claims: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens.
"""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from lab.apiserver.authorization import User
from lab.apiserver.registry import Registry

Object = dict[str, Any]

ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCES = (ISSUER, "k3s")  # K3s' --api-audiences
ALGORITHM = "RS256"
ACCOUNTS, PODS, SECRETS = ("", "serviceaccounts"), ("", "pods"), ("", "secrets")


class InvalidToken(Exception):
    """Nobody can be told from this token; the text says why and never holds the token."""


@dataclass(frozen=True)
class Bearer:
    """Whom a token speaks for, and which of the asked audiences it was made for."""

    user: User
    extra: dict[str, list[str]]
    audiences: tuple[str, ...]


class ServiceAccountTokens:
    """Signs tokens with ``sa.key`` and verifies them against the accounts and pods that exist now."""

    def __init__(self, key_file: Path, registry: Registry) -> None:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError(f"{key_file}: an RSA private key is needed to sign service-account tokens")
        self._key = key
        self._public = key.public_key()
        encoded = self._public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._id = base64.urlsafe_b64encode(hashlib.sha256(encoded).digest()).rstrip(b"=").decode()
        self._registry = registry

    def sign(self, account: Object, seconds: int, audiences: Sequence[str], bound: Object | None) -> tuple[str, int]:
        """A token for ``account``, bound to the pod or Secret ``bound``; returns it with its end (Unix time)."""
        own = account["metadata"]
        now = int(time.time())
        claims: Object = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {
                "namespace": own["namespace"],
                "serviceaccount": {"name": own["name"], "uid": own["uid"]},
            },
            "nbf": now,
            "sub": f"system:serviceaccount:{own['namespace']}:{own['name']}",
        }
        if bound:
            where = bound["metadata"]
            claims["kubernetes.io"][bound["kind"].lower()] = {"name": where["name"], "uid": where["uid"]}
            node = (bound.get("spec") or {}).get("nodeName")
            if node:
                claims["kubernetes.io"]["node"] = {"name": node}
        return jwt.encode(claims, self._key, ALGORITHM, {"kid": self._id}), claims["exp"]

    def verify(self, token: str, audiences: Sequence[str] = AUDIENCES) -> Bearer:
        """Raises InvalidToken for a forged, expired or foreign token and for one whose account or pod is gone."""
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[ALGORITHM],
                audience=list(audiences),
                issuer=ISSUER,
                options={"require": ["exp", "iat", "sub", "aud"]},
            )
            own = claims["kubernetes.io"]
            namespace, account = own["namespace"], own["serviceaccount"]
        except jwt.ExpiredSignatureError:
            raise InvalidToken("service account token has expired") from None
        except jwt.InvalidAudienceError:
            raise InvalidToken(f"token audiences is invalid for the target audiences {list(audiences)}") from None
        except (jwt.PyJWTError, KeyError, TypeError):
            raise InvalidToken("invalid bearer token") from None
        self._exists(ACCOUNTS, namespace, account)
        extra = {"authentication.kubernetes.io/credential-id": [f"JTI={claims.get('jti', '')}"]}
        for resource, kind in ((PODS, "pod"), (SECRETS, "secret")):
            if kind in own:
                self._exists(resource, namespace, own[kind])
        if "pod" in own:
            extra["authentication.kubernetes.io/pod-name"] = [own["pod"]["name"]]
            extra["authentication.kubernetes.io/pod-uid"] = [own["pod"]["uid"]]
        if "node" in own:
            extra["authentication.kubernetes.io/node-name"] = [own["node"]["name"]]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        user = User(f"system:serviceaccount:{namespace}:{account['name']}", account["uid"], groups)
        wanted = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        return Bearer(user, extra, tuple(item for item in audiences if item in wanted))

    def public_keys(self) -> Object:
        """The key set that verifies the tokens, as /openid/v1/jwks answers it."""
        return {"keys": [{**_public_key(self._public), "use": "sig", "kid": self._id, "alg": ALGORITHM}]}

    def _exists(self, resource: tuple[str, str], namespace: str, wanted: Object) -> None:
        found = self._registry.find(self._registry.resource(*resource), namespace, wanted["name"])
        if found is None or found["metadata"]["uid"] != wanted["uid"]:
            raise InvalidToken("Token has been invalidated")
        if "deletionTimestamp" in found["metadata"] and resource == ACCOUNTS:
            raise InvalidToken("Token has been invalidated")


def _public_key(key: Any) -> Object:
    found: Object = jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)
    return {name: value for name, value in found.items() if name in ("kty", "n", "e")}
