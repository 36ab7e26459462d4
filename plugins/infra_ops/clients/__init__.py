"""The only modules that open a connection."""
