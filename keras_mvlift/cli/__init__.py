"""The command line, `keras-mvlift`: one module per command."""
