"""What kube-proxy does on a real cluster: gives every Service an address that leads to its ready pods.

Cluster IPs and DNS names of Services mean nothing on this machine, so each port of a Service gets a port of 127.0.0.1.
"""
