"""Lifts stored views by the million, on Beam workers, a file at a time."""
