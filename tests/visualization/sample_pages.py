"""Pages of every kind with made-up content, for what looks at pages: screenshots and checks."""

import base64
import dataclasses
import io

import numpy as np
from PIL import Image, ImageDraw

from keras_mvlift.diagnosis import report
from keras_mvlift.experiments import report as experiment_report
from keras_mvlift.lifting import pose_clip, viewpoints
from keras_mvlift.untrusted import files
from keras_mvlift.visualization import pages, rig_report
from tests.diagnosis import planted
from tests.visualization import experiment_results, pose_clips

FOCAL = 600.0
SIZE = (640, 480)
# Meters from the camera, which looks down a little.
AWAY, TALL, PITCH = 4.0, 1.5, 0.18


def walking(num_frames=90):
    """`[T, 17, 3]`, meters in the world: somebody who goes round in a circle and swings arms."""
    poses = pose_clips.pose(num_frames)
    phase = np.linspace(0, 2 * np.pi, num_frames)
    for joint, sign in ((2, 1), (3, 1), (5, -1), (6, -1), (12, 1), (13, 1), (15, -1), (16, -1)):
        poses[:, joint, 1] += sign * 0.22 * np.sin(6 * phase) * (1 if joint < 10 else 0.8)
    poses[:, 13, 2] = poses[:, 16, 2] = 1.0
    turn = np.stack([np.cos(phase), -np.sin(phase), np.sin(phase), np.cos(phase)], -1)
    poses[..., :2] = np.einsum("tij,tnj->tni", turn.reshape(-1, 2, 2), poses[..., :2])
    poses[..., :2] += 0.8 * np.stack([np.sin(phase), -np.cos(phase)], -1)[:, np.newaxis]
    return poses


def from_camera(num_frames=90):
    """A clip as lifting a video gives it: in the camera's axes, with the camera's numbers."""
    world = walking(num_frames) - [0.0, -AWAY, TALL]
    x, up, z = world[..., 0], world[..., 2], world[..., 1]
    cosine, sine = np.cos(PITCH), np.sin(PITCH)
    pose = np.stack([x, -cosine * up - sine * z, cosine * z - sine * up], axis=-1)
    camera = viewpoints.from_intrinsics(FOCAL, FOCAL, 320.0, 240.0)
    seen = pose[..., :2] / pose[..., 2:] * FOCAL + [320.0, 240.0]
    rng = np.random.default_rng(0)
    track = pose_clips.track(
        num_frames=num_frames,
        pose=pose,
        keypoints_2d=seen + rng.normal(0, 1.5, seen.shape),
        uncertainty=np.full(pose.shape[:2], 0.02) + 0.04 * (np.arange(17) % 3 == 0),
    )
    unsure = np.full(pose.shape[:2], 0.1)
    bystander = dataclasses.replace(
        track,
        name="person 2",
        pose=pose + np.array([0.9, 0, 1.0]),
        confidence=unsure,
        keypoints_2d=seen + 90,
    )
    about = {
        "model": "studio",
        "camera": "a field of view of 56 degrees",
        "viewpoint": camera.as_data(),
    }
    return pose_clips.clip(track, bystander, space="camera", image_size=SIZE, about=about)


def photograph(size=SIZE):
    """An image of a room, as a page takes it."""
    picture = Image.new("RGB", size, (196, 205, 214))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 250, *size), fill=(150, 128, 104))
    for x in range(-600, 1300, 110):
        draw.line((320, 120, x, size[1]), fill=(128, 108, 88), width=2)
    draw.rectangle((0, 0, size[0], 250), fill=(196, 205, 214))
    draw.rectangle((70, 60, 190, 190), fill=(236, 240, 245), outline=(120, 130, 140), width=5)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def rooted():
    """Two people around their pelvises."""
    clip = from_camera()
    first = clip.tracks[0]
    around = dataclasses.replace(first, pose=first.pose - first.pose[:, :1])
    moved = dataclasses.replace(around, name="person 2", keypoints_2d=first.keypoints_2d + 50)
    return pose_clip.PoseClip(
        tracks=(around, moved), space="root", frame_rate=30.0, image_size=SIZE
    )


def spoiled_rig():
    """The check of a rig of which one camera is wrong."""
    return report.check(planted.spoiled_sequences("opengl_axes", 4, [1], num_frames=60))


ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases"),
    *("Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether"),
)


def results():
    """Results with a table as wide as the paper's first, and views with poses to turn."""
    made = experiment_results.make()
    rows = made["tables"][0]["rows"]
    for number, row in enumerate(rows[:2]):
        row["per_action"] = {
            name: experiment_results.figures(50.0 + 7 * number + index % 4, 1.5, 3)
            for index, name in enumerate(ACTIONS)
        }
    rows[1] |= {"overall": rows[0]["overall"], "mean_over_actions": rows[0]["overall"], "cells": []}
    x, y, z = 1000 * (pose_clips.STANDING - pose_clips.STANDING[0]).T
    joints = np.stack([x, -z, y], axis=-1).round().tolist()
    (case,) = made["tables"][2]["cases"]
    case["view"]["clip"] = "S09 WalkDog 1"
    for pose in case["poses"].values():
        pose["joints"] = [list(joint) for joint in joints]
    case["poses"]["ours"]["joints"][13][1] -= 200
    worst = {"title": "Worst of 9 views for ours"}
    made["tables"][2]["cases"] = [case, case | worst]
    return made


def write(folder):
    """Writes a page of every kind; returns their paths."""
    images = {0: photograph()}
    figures = experiment_report.write_curves(results(), folder / "figures")
    viewers = {
        "poses-camera": (from_camera(), "walk.mp4", images),
        "poses-without-image": (from_camera(), "walk.json"),
        "poses-around-the-pelvis": (rooted(), "walk.json"),
        "poses-compared": (pose_clips.compared(60), "ours and theirs"),
    }
    for name, (clip, *options) in viewers.items():
        pages.write_viewer(clip, folder / f"{name}.html", *options)
    written = {
        "rig": rig_report.render(spoiled_rig()),
        "rig-healthy": rig_report.render(report.check(planted.sequences(2))),
        "experiments": experiment_report.render(results(), figures),
    }
    for name, page in written.items():
        files.write_text(folder / f"{name}.html", page)
    return [folder / f"{name}.html" for name in (*viewers, *written)]
