"""The embedded cluster: real servers where a package brings one, small honest doubles elsewhere."""
