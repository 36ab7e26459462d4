"""The roadmap's cluster as it stands before the first runbook: nodes, namespaces, workloads, exposed credentials."""
