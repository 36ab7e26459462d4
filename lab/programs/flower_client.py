"""`python -m lab.programs.flower_client FOLDER PORT`: a monitor that looks at Flower's workers every few seconds.

FOLDER holds the files url, username and password, read anew each time, as of a mounted Secret. PORT of the pod's
address (POD_IP) listens while Flower lets it in.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from lab.programs.basic_auth import ask
from lab.programs.readiness import Readiness

SECONDS = 3.0


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folder, readiness = Path(sys.argv[1]), Readiness(os.environ["POD_IP"], int(sys.argv[2]))
    former = ""
    while True:
        url, username, password = ((folder / name).read_text().strip() for name in ("url", "username", "password"))
        answer = ask("GET", f"{url}/api/workers", username, password)
        readiness.say(answer == "200")
        if answer != former:
            print(answer, flush=True)
            former = answer
        readiness.wait(SECONDS)


if __name__ == "__main__":
    main()
