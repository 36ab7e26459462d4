"""An Ansible callback plugin that kills ansible-playbook after a task at which it has not been killed yet.

INFRA_OPS_DEATHS names the file that remembers them: a line a playbook, host and task.
"""

import os
import signal
from pathlib import Path

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "dying"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook):
        self._playbook = Path(playbook._file_name).stem

    def v2_runner_on_ok(self, result):
        deaths = Path(os.environ["INFRA_OPS_DEATHS"])
        known = deaths.read_text().splitlines() if deaths.exists() else []
        death = f"{self._playbook}: {result._task.get_name()} on {result._host.get_name()}"
        if death not in known:
            deaths.write_text("\n".join([*known, death]) + "\n")
            os.kill(os.getpid(), signal.SIGKILL)
