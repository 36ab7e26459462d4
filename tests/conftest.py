"""What every test folder shares: Airflow's home, and the options that name a cluster."""

from pathlib import Path

import pytest
from hypothesis import settings

import tests.airflow_home  # noqa: F401  (first: whatever imports airflow later must find it)

pytest.register_assert_rewrite("tests.conformance.suite")  # its asserts are those of every test_<target>.py
settings.register_profile("project", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cluster", "where the tests that speak to Kubernetes find a server")
    group.addoption(
        "--kubeconfig",
        type=Path,
        default=None,
        help="run them against this real API server instead of the lab's own; needs --disposable",
    )
    group.addoption("--disposable", action="store_true", help="the tests may wreck the cluster behind --kubeconfig")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--kubeconfig") and not config.getoption("--disposable"):
        raise pytest.UsageError(
            "--kubeconfig names a real cluster, which the tests change: add --disposable if they may"
        )
