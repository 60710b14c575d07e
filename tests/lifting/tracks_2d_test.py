import re

import numpy as np
import pytest

from keras_mvlift.lifting import tracks_2d
from tests.lifting import people

KEYPOINTS = np.random.default_rng(0).uniform(0, 1000, (5, 2, 17, 2))
CONFIDENCE = np.random.default_rng(1).uniform(0.1, 1, (5, 2, 17))


def test_people_come_before_time_however_many_there_are():
    two = tracks_2d.of_arrays(KEYPOINTS, CONFIDENCE)
    assert two.names == ("person 1", "person 2")
    np.testing.assert_array_equal(two.keypoints_2d[1, 4], KEYPOINTS[4, 1])
    np.testing.assert_array_equal(two.confidence[1, 4], CONFIDENCE[4, 1])
    one = tracks_2d.of_arrays(KEYPOINTS[:, 1], CONFIDENCE[:, 1])
    np.testing.assert_array_equal(one.keypoints_2d, two.keypoints_2d[1:])
    picture = tracks_2d.of_arrays(KEYPOINTS[4, 1], CONFIDENCE[4, 1])
    np.testing.assert_array_equal(picture.keypoints_2d, two.keypoints_2d[1:, 4:])
    np.testing.assert_array_equal(picture.confidence, two.confidence[1:, 4:])


def test_nan_and_confidence_0_are_joints_not_seen():
    confidence = CONFIDENCE.copy()
    confidence[0, 0, 3] = 0.0
    tracks = tracks_2d.of_arrays(people.hidden(KEYPOINTS, (0, 0, 2)), confidence)
    assert (tracks.keypoints_2d[0, 0, 2:4] == 0).all()
    assert (tracks.confidence[0, 0, 2:4] == 0).all()
    unsure = tracks_2d.of_arrays(people.hidden(KEYPOINTS, (0, 0, 2)))
    assert unsure.confidence.sum() == unsure.confidence.size - 1


def test_what_was_lifted_can_be_lifted_again():
    known, reference = people.track(), people.track("reference", keypoints_2d=None)
    tracks = tracks_2d.of_clip(people.clip(known, reference))
    assert (tracks.names, tracks.frame_rate, tracks.first_frame) == (("person 1",), 50.0, 3)
    np.testing.assert_array_equal(tracks.keypoints_2d[0], known.keypoints_2d)
    np.testing.assert_array_equal(tracks.confidence[0], known.keypoint_confidence)
    with pytest.raises(ValueError, match="`tracks` must hold `keypoints_2d`"):
        tracks_2d.of_clip(people.clip(reference))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((KEYPOINTS[..., :16, :],), "`keypoints_2d` must have shape [17, 2], [T, 17, 2] or [T, P,"),
        ((KEYPOINTS, CONFIDENCE[:3]), "`confidence` must have shape [5, 2, 17]. Received: [3, 2,"),
        ((KEYPOINTS, CONFIDENCE + 1), "`confidence` must lie in [0, 1]. Received: 1.1"),
        ((KEYPOINTS[:0],), "`keypoints_2d` must be of at least one person, frame and joint"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        tracks_2d.of_arrays(*arguments)


def test_names_are_as_many_as_people_and_differ():
    with pytest.raises(ValueError, match="that are named"):
        tracks_2d.of_arrays(KEYPOINTS, names=("a",))
    with pytest.raises(ValueError, match="`names` must each be there once"):
        tracks_2d.of_arrays(KEYPOINTS, names=("a", "a"))
