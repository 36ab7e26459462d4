"""The SSH nodes: one listener a node, commands in namespaces with the node's own files, and K3s' command line.

Beside the nodes there is the NAS, a machine outside of the cluster with a user `infra-ops` and no K3s.

What a node keeps lies in its folder `<root>/<name>/`, which mirrors the paths on the node (`etc/`, `var/lib/`, …), so a
hostPath volume of a pod on that node is a folder below it. Beside the nodes lies `authorized_keys`, whoever may log in
as user `pi`. A file `<root>/<name>/off` is the power switch.

Stand-ins for commands (k3s, etcdctl, systemctl, systemd-run, journalctl) start by `launch`; K3s itself is lab/k3s.

Weaknesses: all users are one (uid 0 inside), so `sudo` gives no access that `pi` lacks, it only lets the stand-ins know
that it was used; the network is the host's; signals asked for over SSH are not passed on (closing the channel ends a
command); `/dev/shm` is a folder on the disk, emptied when the node is switched on; without namespaces (see
lab/sandbox.py) absolute paths are the host's.
"""
