"""Pictures of poses and tables of results: NumPy, matplotlib and rich are all it takes."""
