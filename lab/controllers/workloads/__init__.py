"""Deployments, ReplicaSets, StatefulSets and DaemonSets: from a wanted number of pods to pods.

Each kind has one pure module that looks at a `View` of the cluster and says which writes are due; `controller.py` keeps
the view and does the writes. So a rollout can be tested step by step without a server.

Left out: adoption of orphaned pods, pod disruption budgets, `minReadySeconds` and progress deadlines.
"""
