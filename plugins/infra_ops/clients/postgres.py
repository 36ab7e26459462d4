"""PostgreSQL: statements as an administrator, and attempts to log in that tell a refusal from silence.

asyncpg, because psycopg gives no SQLSTATE for a refused login.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import asyncpg

from infra_ops.models.credentials import Answer, Credential, Login
from infra_ops.models.problems import Problem

SECONDS = 10
# Refusals of the login itself; everything else (starting up, too many connections) says nothing about it.
REFUSALS = {"28000", "28P01"}


class DatabaseError(Problem):
    """The server refused a statement or did not answer. The text quotes no value of it, which may be a verifier."""


class Server:
    """One PostgreSQL server, used as its administrator."""

    def __init__(self, host: str, port: int, admin: Credential) -> None:
        self.host = host
        self.port = port
        self._admin = admin

    def query(self, statement: str, *arguments: Any, database: str = "postgres") -> list[dict[str, Any]]:
        """The rows of one statement. Raises DatabaseError."""
        rows: list[asyncpg.Record] = self._run(lambda connection: connection.fetch(statement, *arguments), database)
        return [dict(row) for row in rows]

    def execute(self, statements: list[str], *, database: str = "postgres") -> None:
        """Run the statements in one transaction: all of them happen, or none. Raises DatabaseError."""

        async def transaction(connection: Any) -> None:
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)

        self._run(transaction, database, statements)

    def _run(self, work: Any, database: str, statements: Sequence[str] = ()) -> Any:
        async def session() -> Any:
            connection = await asyncpg.connect(
                host=self.host,
                port=self.port,
                user=self._admin.username,
                password=self._admin.password,
                database=database,
                timeout=SECONDS,
                command_timeout=60,
            )
            try:
                return await work(connection)
            finally:
                await connection.close()

        try:
            return asyncio.run(session())
        except asyncpg.PostgresError as error:
            reason = f"{error.sqlstate} {_words(error, statements)}"
            raise DatabaseError(f"PostgreSQL {self.host}:{self.port}/{database} refused: {reason}") from None
        except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
            reason = str(error) or type(error).__name__
            raise DatabaseError(f"PostgreSQL {self.host}:{self.port}/{database} does not answer: {reason}") from None


def log_in(host: str, port: int, database: str, username: str, password: str) -> Login:
    """One attempt to log in over the network, as any client would make it."""

    async def attempt() -> None:
        connection = await asyncpg.connect(
            host=host, port=port, database=database, user=username, password=password, timeout=SECONDS
        )
        await connection.close()

    try:
        asyncio.run(attempt())
    except asyncpg.PostgresError as error:
        code = str(error.sqlstate)
        return Login(Answer.REFUSED if code in REFUSALS else Answer.UNREACHABLE, code)
    except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
        return Login(Answer.UNREACHABLE, type(error).__name__)
    return Login(Answer.ACCEPTED, "")


def _words(error: asyncpg.PostgresError, statements: Sequence[str]) -> str:
    """The server's own sentence, unless it quotes a value of a statement; then the name of the error."""
    text = str(error.args[0]) if error.args else ""
    values = [value for statement in statements for value in re.findall(r"'((?:[^']|'')+)'", statement)]
    quotes = any(value in text or value.replace("''", "'") in text for value in values)
    return type(error).__name__ if quotes else text


def quoted(name: str) -> str:
    """An identifier, quoted for a statement."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string, quoted for a statement that takes no parameters (ALTER ROLE)."""
    return "'" + text.replace("'", "''") + "'"
