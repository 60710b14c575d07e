"""TFX components: a signature, one library call, one write each."""
