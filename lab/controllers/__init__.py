"""What kube-controller-manager does and the lab needs: service accounts, namespaces, garbage, nodes, workloads.

Each controller has one file and one `run`. They speak the public API only, start every look from what is, and do what
the real ones do, so they are harmless beside them.

Left out: collection of pods whose node was deleted, quotas, jobs, endpoints.
"""
