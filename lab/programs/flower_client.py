"""`python -m lab.programs.flower_client FOLDER PORT`: a monitor that looks at Flower's workers every few seconds.

FOLDER holds the files url, username and password, read anew each time, as of a mounted Secret. PORT of the pod's
address (POD_IP) listens while Flower lets it in.
"""

from __future__ import annotations

import base64
import http.client
import os
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from lab.programs.readiness import Readiness

SECONDS = 3.0
TIMEOUT = 5.0


def ask(url: str, username: str, password: str) -> str:
    """What Flower answers to that login: an HTTP status, or why there was none."""
    login = base64.b64encode(f"{username}:{password}".encode()).decode()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT)
    try:
        connection.request("GET", "/api/workers", headers={"Authorization": f"Basic {login}"})
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {type(error).__name__}"
    finally:
        connection.close()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folder, readiness = Path(sys.argv[1]), Readiness(os.environ["POD_IP"], int(sys.argv[2]))
    former = ""
    while True:
        answer = ask(*((folder / name).read_text().strip() for name in ("url", "username", "password")))
        readiness.say(answer == "200")
        if answer != former:
            print(answer, flush=True)
            former = answer
        readiness.wait(SECONDS)


if __name__ == "__main__":
    main()
