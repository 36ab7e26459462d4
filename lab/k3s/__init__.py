"""K3s on a node as a service: its configuration, its unit, and what its servers keep on their disks.

`unit` runs it as systemd would; `config` reads what it is told. The commands that people type on a node are in
lab/nodes. A server's API itself is lab/apiserver (`front`).
"""
