"""Rotating a password: the new value is safe before it is set, and the old one lives until nobody needs it."""
