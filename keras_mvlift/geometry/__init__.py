"""Multiple-view geometry on tensors: cameras, rigid motion, triangulation, alignment."""
