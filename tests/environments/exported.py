"""What the environments of `scripts/environments.py` are given: two models and a clip."""

import pathlib
import sys

import numpy as np

from tests import temporal_networks, tiny_studio

NUM_FRAMES = 30
FRAME_RATE = 25.0


def write(folder: pathlib.Path) -> None:
    """Writes a model of single frames, one of windows, and a clip with joints that are missing."""
    tiny_studio.save(tiny_studio.trained(), folder / "frames", is_mirrored=True)
    temporal_networks.save(folder / "windows")
    keypoints_2d, confidence = temporal_networks.film(NUM_FRAMES)
    confidence[3] = 0.0
    clip = {"keypoints_2d": keypoints_2d, "confidence": confidence}
    np.savez(folder / "clip.npz", frame_rate=FRAME_RATE, **clip)


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
