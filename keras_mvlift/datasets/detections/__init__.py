"""What 2D pose detectors write, in each format that it comes in."""
