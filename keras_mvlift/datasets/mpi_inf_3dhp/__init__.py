"""MPI-INF-3DHP: its files, cameras, joints and protocol, and a simulated release of it."""
