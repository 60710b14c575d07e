"""Calibrations of rigs, in each format that they come in."""
