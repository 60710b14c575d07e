"""Batches of pairs with exact or spoiled keypoints, and their losses by loops over joints."""

import numpy as np

from keras_mvlift.datasets import views
from tests import random_scenes


def exact(batch=3, seed=0, num_joints=17):
    """True poses in the source's and the target's frame, and the pair that saw them."""
    rng = np.random.default_rng(seed)
    world = random_scenes.points(rng, batch, num_joints)
    poses, seen = [], []
    for _ in range(2):
        camera = random_scenes.camera(rng, batch)
        pose, keypoints_2d = np.zeros_like(world), np.zeros((batch, num_joints, 2))
        for row in range(batch):
            single = random_scenes.one(camera, row)
            pose[row] = random_scenes.move(world[row], single)
            keypoints_2d[row] = random_scenes.project(pose[row], single)
        confidence = rng.uniform(0.1, 1.0, (batch, num_joints))
        poses.append(pose)
        seen.append(views.View(keypoints_2d, confidence, camera))
    return tuple(poses), views.ViewPair(*seen)


def spoiled(batch=3, seed=0, num_joints=17):
    """Poses and keypoints that are off by decimeters and tens of pixels."""
    poses, pair = exact(batch, seed, num_joints)
    rng = np.random.default_rng(seed + 1)
    poses = tuple(pose + rng.normal(0.0, 0.1, pose.shape) for pose in poses)
    seen = (
        view._replace(keypoints_2d=view.keypoints_2d + rng.normal(0, 20, view.keypoints_2d.shape))
        for view in pair
    )
    return poses, views.ViewPair(*seen)


def rho(point, camera):
    """Eq. (1), of one joint and one camera."""
    focal, center = camera.intrinsics[[0, 1], [0, 1]], camera.intrinsics[:2, 2]
    return focal * point[:2] / point[2] + center


def tau(point, source, target):
    """Eq. (3) and (4), of one joint and two cameras."""
    rotation = target.rotation @ source.rotation.T
    center = source.rotation @ (target.center - source.center)
    return rotation @ (point - center)


def by_hand(poses, pair, term):
    """Sums over the joints of each example.

    Args:
        poses: `[B, J, 3]` twice.
        pair: The two views.
        term: A joint's share, from its two positions, the two cameras, its two keypoints and
            its two confidences.
    """
    total = np.zeros(len(poses[0]))
    for row, joint in np.ndindex(poses[0].shape[:2]):
        camera_pair = [random_scenes.one(view.camera, row) for view in pair]
        total[row] += term(
            *(pose[row, joint] for pose in poses),
            *camera_pair,
            *(view.keypoints_2d[row, joint] for view in pair),
            *(view.confidence[row, joint] for view in pair),
        )
    return total
