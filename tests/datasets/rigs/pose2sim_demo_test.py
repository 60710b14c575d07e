"""The one real recording at hand, read as what is known of it."""

import dataclasses

import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.geometry import cameras

WIDTH, HEIGHT = 1088, 1920
JOINTS = skeletons.H36M_17.joints
LIMBS = [
    index
    for index, joint in enumerate(JOINTS)
    if joint.endswith(("hip", "knee", "ankle", "shoulder", "elbow", "wrist"))
]


@pytest.fixture(scope="module")
def clip():
    root, reference = pose2sim.demo_root(), "opensim/Balancing_for_IK.trc"
    return pose2sim.Pose2SimSource(root=root, reference=reference).read("demo")


@pytest.fixture(scope="module")
def projected(clip):
    """The reference in the four images, `[V, T, J, 2]`, and its depths `[V, T, J]`."""
    camera = cameras.Camera(*(value[:, np.newaxis] for value in clip.camera))
    moved = cameras.camera_from_world(clip.pose_world, camera)
    return cameras.project(moved, camera.intrinsics), moved[..., 2]


def median_distance(projected, clip, order=slice(None)):
    """Median distance of projections and sure detections, `[V]`, pixels."""
    distance = np.linalg.norm(projected - clip.keypoints_2d[:, :, order], axis=-1)
    return [np.median(d[c > 0.3]) for d, c in zip(distance, clip.confidence, strict=True)]


def test_four_cameras_see_100_frames_at_60_hertz(clip):
    assert clip.camera_names == ("cam1", "cam2", "cam3", "cam4")
    assert (clip.num_frames, clip.frame_rate) == (100, 60.0)
    assert clip.pose_world.shape == (100, 17, 3)


def test_lenses_and_places_are_of_pixels_and_meters(clip):
    # 107599.67 / 64 and 34110.32 / 64, 60680.79 / 64; 1460, -1909 and 1897 mm.
    np.testing.assert_allclose(clip.camera.intrinsics[0, 0], [1681.24, 0, 532.97], atol=0.01)
    np.testing.assert_allclose(clip.camera.intrinsics[0, 1], [0, 1681.08, 948.14], atol=0.01)
    np.testing.assert_allclose(clip.camera.center[0], [1.460, -1.909, 1.897], atol=1e-3)


def test_the_reference_reprojects_within_7_to_22_pixels(clip, projected):
    medians = median_distance(projected[0], clip)
    assert 7 < min(medians)
    assert max(medians) < 22


def test_left_and_right_are_not_swapped(clip, projected):
    order = np.arange(17)
    left, right = list(skeletons.H36M_17.left), list(skeletons.H36M_17.right)
    order[left + right] = right + left
    plain, swapped = (median_distance(projected[0], clip, o) for o in (slice(None), order))
    assert (np.array(swapped) > 1.5 * np.array(plain)).all()


def test_the_person_stands_upright_in_view_of_all_cameras(clip, projected):
    keypoints_2d, depth = projected
    assert ((depth > 2) & (depth < 6)).all()
    assert ((keypoints_2d >= 0) & (keypoints_2d < [WIDTH, HEIGHT])).all(axis=-1).mean() > 0.99
    head, feet = (
        clip.pose_world[:, [JOINTS.index(j) for j in names], 2].mean()
        for names in (
            ["head"],
            ["left_ankle", "right_ankle"],
        )
    )
    assert 1.3 < head - feet < 1.9


def test_detections_triangulate_to_the_reference_within_15_millimeters(clip):
    seen = sequences.instants_of_sequence(clip, np.arange(clip.num_frames))
    points, is_seen = sequences.triangulate(seen, min_confidence=0.3)
    distance = np.linalg.norm(points - clip.pose_world, axis=-1)[:, LIMBS]
    assert np.median(distance[is_seen[:, LIMBS]]) < 0.016
    assert is_seen[:, LIMBS].mean() > 0.99


def test_a_mirrored_or_moved_camera_would_show(clip):
    seen = sequences.instants_of_sequence(clip, np.arange(clip.num_frames))
    flipped = clip.camera.rotation * [[1], [-1], [-1]]
    spoiled = [
        clip.camera._replace(rotation=flipped),
        clip.camera._replace(
            center=-np.einsum("vji,vj->vi", clip.camera.rotation, clip.camera.center)
        ),
    ]
    for camera in spoiled:
        wrong = sequences.instants_of_sequence(dataclasses.replace(clip, camera=camera), seen.frame)
        points, _ = sequences.triangulate(wrong, min_confidence=0.3)
        distance = np.linalg.norm(points - clip.pose_world, axis=-1)[:, LIMBS]
        assert np.median(distance) > 0.2
