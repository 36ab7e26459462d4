"""Doubles of services that no Python package brings: Grafana, Pi-hole, Synology's DSM and a Git host.

They answer as the originals do where passwords and keys are concerned, odd codes and lock-outs included, and never more
leniently.
"""
