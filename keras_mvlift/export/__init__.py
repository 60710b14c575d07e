"""Trained networks as artifacts that others load."""
