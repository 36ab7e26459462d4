"""Starts the lab's services in order, watches them, stops them in reverse."""
