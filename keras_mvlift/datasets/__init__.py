"""Recordings in, view pairs out: readers, the synthetic studio, splits, records."""
