"""Poses over time in files: what lifting gives, and the 2D tracks that it takes."""
