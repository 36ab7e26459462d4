"""infra_ops: every checkbox of the cluster's roadmap as a check that measures it and a runbook that makes it true."""
