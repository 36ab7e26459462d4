"""One file a kind of service: how it takes a new password, and how it says no to a wrong one."""
