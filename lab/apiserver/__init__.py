"""The lab's Kubernetes API server: a small, honest double of kube-apiserver 1.32 as K3s runs it.

It is driven by the OpenAPI schemas of the kinds, keeps objects in SQLite under a real server's keys, and refuses in a
real server's words. Where it differs it is stricter: what it does not know it refuses.
"""

VERSION = "v1.32.2+k3s1"
