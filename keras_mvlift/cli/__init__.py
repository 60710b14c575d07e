"""The command line, `keras-mvlift`."""
