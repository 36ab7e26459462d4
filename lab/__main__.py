"""`python -m lab`: looks at the Python version before it imports what only some versions can."""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 12):
    found = ".".join(map(str, sys.version_info[:3]))
    sys.exit("Airflow 3.0.2 and its pins need Python 3.11 or 3.12, and this is " + found + ": use .venv/bin/python.")

sys.dont_write_bytecode = True  # the lab writes only below its root

from lab.cli import main  # noqa: E402

sys.exit(main())
