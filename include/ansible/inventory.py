#!/usr/bin/env python3
"""The hosts of include/cluster.yaml for whoever runs a playbook by hand: `ansible-playbook -i inventory.py …`.

The package must be importable (PYTHONPATH=plugins). https://docs.ansible.com/ansible/latest/dev_guide/developing_inventory.html
"""

import json

from infra_ops import include
from infra_ops.clients.ansible import hosts

print(json.dumps(hosts(include.inventory())))
