"""From a person's files to a person's files: 2D tracks in, 3D poses out."""
