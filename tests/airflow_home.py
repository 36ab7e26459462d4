"""Gives the tests of one pytest run an Airflow home of their own. Import it before anything of airflow."""

import atexit
import os
import shutil
import tempfile

HOME = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
