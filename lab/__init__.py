"""The embedded cluster: real servers where a package brings one, small honest doubles elsewhere."""

K3S_VERSION = "v1.32.2+k3s1"  # of the lab's own API server, and of its nodes unless they join another one
