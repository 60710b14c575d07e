import numpy as np
import pytest

from keras_mvlift import configs, skeletons
from keras_mvlift.datasets import preparation
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.studio import human36m
from tests.datasets.human36m import releases

SPLIT = preparation.BySubject(test_subjects=("S9",))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    root = tmp_path_factory.mktemp("release")
    return root, releases.write(root, num_takes=2, num_frames=20)


def prepare(root, clip, **options):
    sequence = releases.open_source(root, **options).read(clip)
    return sequence, preparation.prepare(sequence, SPLIT, configs.DataConfig(stride=5))


def triangulated(pairs):
    """Triangulates each pair's two views, `[N, 17, 3]`."""
    sides = ("source", "target")
    both = {
        field: np.stack([pairs[f"{side}/{field}"] for side in sides], axis=1)
        for field in ("keypoints_2d", "confidence", "intrinsics", "rotation", "center")
    }
    camera = cameras.Camera(both["intrinsics"], both["rotation"], both["center"])
    return triangulation.triangulate(both["keypoints_2d"], both["confidence"], camera)[0]


def sine_between_rays(pairs, points):
    """Returns the sine of the angles at which both cameras' rays meet, `[N, 17]`."""
    rays = [points - pairs[f"{side}/center"][:, np.newaxis] for side in ("source", "target")]
    first, second = (ray / np.linalg.norm(ray, axis=-1, keepdims=True) for ray in rays)
    return np.linalg.norm(np.cross(first, second), axis=-1)


def real(pairs):
    """Takes the pairs of two real cameras."""
    names = np.array([pairs["source/camera"], pairs["target/camera"]]).astype(str)
    chosen = ~np.char.startswith(names, "virtual").any(axis=0)
    return {key: np.asarray(column)[chosen] for key, column in pairs.items()}


@pytest.mark.parametrize("detections", ["D2_Positions", "gt"])
def test_pairs_of_exact_keypoints_meet_at_the_reference_within_a_millimeter(release, detections):
    sequence, prepared = prepare(release[0], "S1_Discussion_1", detections=detections)
    pairs = real(prepared.train_pairs)
    assert len(pairs["frame"]) == 4 * 6
    assert not len(prepared.test_views["frame"])
    reference = sequence.pose_world[pairs["frame"]]
    away = np.linalg.norm(triangulated(pairs) - reference, axis=-1)
    assert np.median(away) < 1e-5
    # Where two cameras look at each other, single precision in the files goes a long way.
    assert away[sine_between_rays(pairs, reference) > 0.1].max() < 1e-3


def test_with_the_lens_left_in_they_do_not_meet_there(release):
    sequence, prepared = prepare(release[0], "S1_Discussion_1", remove_distortion=False)
    pairs = real(prepared.train_pairs)
    away = triangulated(pairs) - sequence.pose_world[pairs["frame"]]
    assert np.abs(away).max() > 2e-3


def test_test_subjects_give_test_views_with_the_reference_in_the_cameras_axes(release):
    sequence, prepared = prepare(release[0], "S9_Directions_1", detections="detections.npz")
    assert not len(prepared.train_pairs["frame"])
    views = prepared.test_views
    # A view in which the detector lost the person is left out.
    assert 60 <= len(views["frame"]) <= 20 * 4
    pose = sequence.pose_world[views["frame"]]
    relative = pose - pose[:, skeletons.ROOT : skeletons.ROOT + 1]
    expected = np.einsum("nij,nkj->nki", views["rotation"], relative)
    np.testing.assert_allclose(views["reference_pose"], expected, atol=1e-6)


def test_detections_meet_near_the_reference(release):
    sequence, prepared = prepare(release[0], "S1_Directions_1", detections="detections.parquet")
    pairs = real(prepared.train_pairs)
    away = np.linalg.norm(triangulated(pairs) - sequence.pose_world[pairs["frame"]], axis=-1)
    assert 1e-3 < np.median(away) < 0.05


def test_a_release_of_all_subjects_lists_the_fields_209_clips(tmp_path):
    takes = human36m.write_release(tmp_path, num_frames=1, num_distinct_takes=1, formats=("cdf",))
    assert sum(1 for _ in takes) == 210
    everyone = {
        "train_subjects": ("S1", "S5", "S6", "S7", "S8"),
        "test_subjects": ("S9", "S11"),
    }
    assert len(releases.open_source(tmp_path, **everyone).clips()) == 209
