"""Certificates of K3s, renewed by restarts; others are only measured."""
