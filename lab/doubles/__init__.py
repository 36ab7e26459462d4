"""Doubles of services that no Python package brings: Grafana, Pi-hole and Synology's DSM.

They answer as the originals do where passwords are concerned, odd codes and lock-outs included, and never more
leniently.
"""
