import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.datasets.rigs import detections
from tests.datasets.rigs import simulated_rigs, surest_people


@pytest.mark.parametrize("skeleton", skeletons.SKELETONS.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("detection_format", detections.READERS)
def test_every_format_gives_the_same_track(tmp_path, detection_format, skeleton):
    rng = np.random.default_rng(0)
    crowd = rng.uniform([1, 1, 0.3], [1000, 1000, 0.9], (4, 2, skeleton.num_joints, 3))
    crowd[:, 0, :, 2] *= 0.3
    crowd[1, 1, 0] = 0.0
    people = [(number, crowd[row]) for row, number in enumerate([5, 6, 8, 9])]
    written = simulated_rigs.DETECTION_WRITERS[detection_format](tmp_path / "clip" / "cam1", people)
    frames = detections.READERS[detection_format](tmp_path / "clip" / written)
    track = surest_people.track(frames, skeleton)
    assert track.frames.tolist() == [5, 6, 8, 9]
    np.testing.assert_allclose(track.keypoints_2d, crowd[:, 1, :, :2], atol=1e-4)
    np.testing.assert_allclose(track.confidence, crowd[:, 1, :, 2], atol=1e-4)
