"""Human3.6M: its files, cameras, joints and protocol."""
