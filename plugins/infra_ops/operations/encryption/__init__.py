"""Encryption of Secrets at rest: K3s' servers from one list of providers to the next, one server at a time."""
