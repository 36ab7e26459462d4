"""The running lab of the end-to-end tests, to be measured."""

from __future__ import annotations

from tests.lab.end_to_end.conftest import airflow as airflow
from tests.lab.end_to_end.conftest import credentials as credentials
from tests.lab.end_to_end.conftest import lab as lab
