"""Where the figures that the documentation states come from, a command each."""
