"""`python -m lab.programs.grafana_sidecar`: the k8s-sidecar of Grafana's chart, which makes Grafana reload its files.

It asks REQ_URL every SLEEP_TIME seconds (60 if unset) with the basic auth of REQ_USERNAME and REQ_PASSWORD. It reads
its environment once: after a change of the password it goes on with the old one until it is restarted, and Grafana
counts.
The original asks when a ConfigMap changes; here every few seconds, so that the harm shows.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from lab.programs.basic_auth import ask


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    url, username, password = (os.environ[name] for name in ("REQ_URL", "REQ_USERNAME", "REQ_PASSWORD"))
    while True:
        print(
            ask("POST", url, username, password), flush=True
        )  # each time: whoever looks for 401 wants to know since when
        time.sleep(float(os.environ.get("SLEEP_TIME") or 60))


if __name__ == "__main__":
    main()
