"""Days of a small studio: one rig, other people each day, written as recordings to drop."""

import json
import shutil

import yaml

from tests.datasets.rigs import simulated_rigs

CLIPS_A_DAY = 2

SETTINGS = {
    "name": "followed",
    "data": {
        "split_options": {"num_blocks": 1, "block_length": 6, "gap": 2},
        "num_virtual_views": 0,
    },
    "model": {"backbone": "res_linear", "layers_per_block": 1, "width": 16},
    "finetune": {"num_epochs": 2, "decay_every": 0, "batch_size": 16},
    "bounds": {"mpjpe_mm": 100_000.0},
    "worsening": {},
    "window": {"num_spans": 2},
    # A day of 40 frames is too short for the thresholds of real ones.
    "drift": {"keypoints_2d": 0.5, "confidence": 0.15},
}


def film(root, num_days, **options):
    """Films days with one rig; gives the recordings' folders, which are not yet dropped."""
    whole = root / "whole"
    given = {"num_clips": num_days * CLIPS_A_DAY + 1, "num_frames": 20, "num_cameras": 3}
    simulated_rigs.write_rig(str(whole), **given | options)
    manifest = yaml.safe_load((whole / "rig.yaml").read_text())
    days = []
    for day in range(num_days):
        folder = root / f"day_{day + 1}"
        folder.mkdir()
        clips = manifest["clips"][day * CLIPS_A_DAY : (day + 1) * CLIPS_A_DAY]
        for clip in clips:
            shutil.copytree(whole / clip["name"], folder / clip["name"])
        shutil.copy(whole / manifest["calibration"]["file"], folder)
        (folder / "rig.yaml").write_text(yaml.safe_dump(manifest | {"clips": clips}))
        days.append(folder)
    shutil.rmtree(whole)
    return days


def less_sure(recording, factor):
    """Makes a recording's detector less sure, as another detector may be."""
    for path in recording.glob("*/*/*.json"):
        frame = json.loads(path.read_text())
        for person in frame["people"]:
            person["pose_keypoints_2d"][2::3] = [
                factor * sure for sure in person["pose_keypoints_2d"][2::3]
            ]
        path.write_text(json.dumps(frame))
