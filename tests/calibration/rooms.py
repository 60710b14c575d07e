"""A walk through a room as a rig sees it, exactly or nearly so."""

import dataclasses

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.calibration import observations
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import filming, synthetic

EXACT = filming.Detector(
    noise_px=0.0, gross_error_rate=0.0, missing_rate=0.0, dropped_view_rate=0.0
)


def clips(*, num_frames=60, actions=("walking", "turning"), **options):
    """Clips of a studio with one person."""
    studio = synthetic.Studio(
        num_subjects=1,
        num_clips=len(actions),
        actions=actions,
        num_frames=num_frames,
        frame_rate=10.0,
        **options,
    )
    return list(studio)


def exact_clips(**options):
    return clips(
        noise_px=0.0, gross_error_rate=0.0, missing_rate=0.0, dropped_view_rate=0.0, **options
    )


def refilmed(clip, pose_world, detector=EXACT):
    """The clip's cameras, filming another motion."""
    seen = detector.detect(pose_world, clip.camera, np.random.default_rng(0))
    keypoints_2d, confidence = seen
    return dataclasses.replace(
        clip, keypoints_2d=keypoints_2d, confidence=confidence, pose_world=pose_world
    )


def seen_by(camera, points, noise_px=0.0, rng=None):
    """Observations of points `[N, 3]`, all by all views, limb after limb and frame after frame."""
    keypoints_2d = cameras.project_from_world(points, camera)
    if noise_px:
        keypoints_2d = keypoints_2d + rng.normal(0.0, noise_px, keypoints_2d.shape)
    limbs = [skeletons.H36M_17.joints.index(name) for name in observations.LIMBS]
    frame, limb = np.divmod(np.arange(len(points)), len(limbs))
    weights = np.ones(keypoints_2d.shape[:2])
    return observations.Observations(keypoints_2d, weights, frame, np.array(limbs)[limb])


def room(num_cameras=4, num_points=240, seed=0, **options):
    """A rig, points of a room in its view and what it sees of them."""
    rng = np.random.default_rng(seed)
    camera = filming.ring(num_cameras, jitter=0.2, rng=rng)
    points = rng.uniform([-1.0, -1.0, 0.0], [1.0, 1.0, 1.8], (num_points, 3))
    return camera, points, seen_by(camera, points, rng=rng, **options)


def one_rig(camera, index):
    """The rig of the chosen cameras."""
    return cameras.Camera(*(np.asarray(value)[list(index)] for value in camera))
