"""A virtual kubelet and scheduler for all nodes of the lab, on top of the public Kubernetes API alone."""
