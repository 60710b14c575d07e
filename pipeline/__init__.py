"""The pipeline as a function of its settings, and what runs it."""
