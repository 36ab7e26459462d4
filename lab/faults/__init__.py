"""A proxy that stands in front of a server and spoils the traffic by rules that are switched on and off while it runs.

`rules` says what goes wrong with which requests, `http` and `tcp` carry it out for HTTP(S) and for any TCP server,
`postgres` for PostgreSQL by statement, `control` switches rules from outside. Only public protocols are spoken, so the
server may be the lab's or a real one.

Left out: upgrades (kubectl exec, port-forward) are refused with 501; client certificates end at the proxy, so clients
log in with tokens; PostgreSQL is spoken to without TLS.
"""
