"""Who sends a request: a token of the token file, a service account, or nobody (anonymous)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from lab.apiserver import errors
from lab.apiserver.authorization import User
from lab.apiserver.tokens import AUDIENCES, Bearer, InvalidToken, ServiceAccountTokens

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
ANONYMOUS = User("system:anonymous", "", (UNAUTHENTICATED,))


class TokenFileError(ValueError):
    """The token file has a line that is not ``token,user,uid,"group1,group2"``; the text never holds a token."""


def read_tokens(path: Path) -> dict[str, User]:
    """Users by token, from kube-apiserver's --token-auth-file format."""
    users = {}
    with path.open(newline="") as lines:
        for number, row in enumerate(csv.reader(lines), start=1):
            if not row:
                continue
            if len(row) < 3 or not row[0] or not row[1]:
                raise TokenFileError(f'{path}, line {number}: expected token,user,uid,"group1,group2"')
            groups = tuple(filter(None, row[3].split(","))) if len(row) > 3 else ()
            users[row[0]] = User(row[1], row[2], groups)
    return users


class Authenticator:
    """Tells users by their bearer tokens."""

    def __init__(self, users: Mapping[str, User], accounts: ServiceAccountTokens) -> None:
        self._users = users
        self._accounts = accounts

    def request(self, headers: Mapping[str, str]) -> Bearer:
        """The sender of a request. Raises ApiError 401 for a token that nobody holds."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return Bearer(ANONYMOUS, {}, ())
        try:
            return self.token(token.strip())
        except InvalidToken:
            raise errors.unauthorized() from None

    def token(self, token: str, audiences: tuple[str, ...] = AUDIENCES) -> Bearer:
        """The holder of a token that is meant for one of ``audiences``. Raises InvalidToken."""
        user = self._users.get(token)
        if user:
            return Bearer(_authenticated(user), {}, AUDIENCES)
        bearer = self._accounts.verify(token, audiences)
        return Bearer(_authenticated(bearer.user), bearer.extra, bearer.audiences)


def _authenticated(user: User) -> User:
    return User(user.name, user.uid, (*user.groups, AUTHENTICATED))
