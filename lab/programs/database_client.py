"""`python -m lab.programs.database_client PORT`: stands for an application with a database.

It logs in with what its environment gives it (DATABASE_URL or DATA_SOURCE_NAME, otherwise libpq's PGHOST, PGUSER and so
on), keeps that session and asks it something every second. After an error it logs in again with the same values, as
programs do that read their environment once. PORT of the pod's address (POD_IP) listens while it is logged in.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import psycopg2  # type: ignore[import-untyped]

from lab.programs.readiness import Readiness

SECONDS = 1.0
TIMEOUT = 5  # seconds to log in


def work(dsn: str, readiness: Readiness) -> None:
    """Log in and ask, until something goes wrong. Raises psycopg2.OperationalError."""
    with contextlib.closing(psycopg2.connect(dsn, connect_timeout=TIMEOUT)) as connection:
        connection.autocommit = True
        print(f"logged in as {connection.info.user}", flush=True)
        readiness.say(True)
        with connection.cursor() as cursor:
            while True:
                cursor.execute("select 1")
                readiness.wait(SECONDS)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    dsn = os.environ.get("DATABASE_URL") or os.environ.get("DATA_SOURCE_NAME") or ""
    readiness = Readiness(os.environ["POD_IP"], int(sys.argv[1]))
    while True:
        try:
            work(dsn, readiness)
        except psycopg2.OperationalError as error:
            readiness.say(False)
            # Only the server's own words: libpq's may quote the connection string, password and all.
            print(f"no session: {str(error).partition('FATAL:')[2].strip() or type(error).__name__}", flush=True)
            readiness.wait(SECONDS)
        except psycopg2.ProgrammingError:
            sys.exit("the connection string cannot be read")


if __name__ == "__main__":
    main()
