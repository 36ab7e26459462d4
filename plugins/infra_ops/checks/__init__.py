"""Pure functions from facts to outcomes."""
