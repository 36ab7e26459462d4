"""The application that the lab's Celery worker runs: it stands for the roadmap's distributed tasks."""

import os

from celery import Celery  # type: ignore[import-untyped]

app = Celery("lab", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_BROKER_URL"])
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


@app.task  # type: ignore[misc]
def add(left: int, right: int) -> int:
    """The sum; enough to prove that a task travels to the worker and its result back."""
    return left + right
