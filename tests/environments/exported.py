"""What the environments of `scripts/environments.py` are given: two models, and a clip twice."""

import json
import pathlib
import sys

import numpy as np

from tests import temporal_networks, tiny_studio

NUM_FRAMES = 30
FRAME_RATE = 25.0


def write(folder: pathlib.Path) -> None:
    """Writes a model of single frames, one of windows, and a clip with joints that are missing.

    The clip is an archive and a folder of OpenPose's.
    """
    tiny_studio.save(tiny_studio.trained(), folder / "frames", is_mirrored=True)
    temporal_networks.save(folder / "windows")
    keypoints_2d, confidence = temporal_networks.film(NUM_FRAMES)
    confidence[3] = 0.0
    clip = {"keypoints_2d": keypoints_2d, "confidence": confidence}
    np.savez(folder / "clip.npz", frame_rate=FRAME_RATE, **clip)
    (folder / "openpose").mkdir()
    joints = np.concatenate([keypoints_2d, confidence[..., np.newaxis]], axis=-1)
    for frame, person in enumerate(joints.reshape(NUM_FRAMES, -1).tolist()):
        people = [{"pose_keypoints_2d": person}]
        (folder / "openpose" / f"{frame}.json").write_text(json.dumps({"people": people}))


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
