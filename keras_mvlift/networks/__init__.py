"""Backbones and root heads: plain functional Keras models from rays to poses."""
