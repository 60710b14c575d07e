"""Recordings of anybody's rig: calibrations, detections, manifests."""
