"""Each asks one thing of the real world and returns plain data. Never changes anything."""
