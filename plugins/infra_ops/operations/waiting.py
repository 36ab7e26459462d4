"""Asking until the answer is good."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

PAUSE = 1.0  # seconds
Answer = TypeVar("Answer")


def asked_until(
    is_good: Callable[[Answer], bool],
    ask: Callable[[], Answer],
    seconds: float,
    *,
    bearing: tuple[type[Exception], ...] = (),
) -> Answer:
    """The first good answer, or the last one when the time is over. It is asked at least once.

    Exceptions of the kinds in `bearing` are answers that are not good; when the time is over the last one is raised.
    """

    def last(state: RetryCallState) -> Answer:
        assert state.outcome, "it has been asked"
        answer: Answer = state.outcome.result()
        return answer

    asking = Retrying(
        retry=retry_if_result(lambda answer: not is_good(answer)) | retry_if_exception_type(bearing),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(PAUSE),
        retry_error_callback=last,
    )
    return asking(ask)
