import dataclasses
import re

import numpy as np
import pytest

from tests.lifting import people


def test_a_clip_counts_its_frames_and_knows_where_joints_are():
    track = people.track(pose=people.hidden(people.pose(), (2, 5)))
    clip = people.clip(track)
    assert (clip.num_frames, track.num_frames) == (12, 12)
    assert np.argwhere(~track.is_present).tolist() == [[2, 5]]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": " "}, "`name` must be a text that is not empty. Received: ' '."),
        ({"pose": np.zeros((12, 17))}, "`pose` must have shape [T, J, 3]. Received: [12, 17] of"),
        ({"pose": np.zeros((12, 17, 3), int)}, "`pose` must have shape [T, J, 3]. Received: [12"),
        ({"pose": np.zeros((0, 17, 3))}, "`pose` must have at least one frame and one joint"),
        ({"pose": np.full((12, 17, 3), np.inf)}, "`pose` must be finite, or NaN in all of"),
        ({"pose": np.ones((12, 17, 1)) * [1, np.nan, 1]}, "`pose` must be finite, or NaN in all"),
        ({"confidence": np.zeros((12, 16))}, "`confidence` must have the frames and joints"),
        ({"confidence": np.full((12, 17), 1.5)}, "`confidence` must lie in [0, 1]. Received: 1.5"),
        ({"confidence": np.full((12, 17), np.nan)}, "`confidence` must lie in [0, 1]. Received:"),
        ({"keypoint_confidence": np.full((12, 17), -1.0)}, "`keypoint_confidence` must lie in"),
        ({"uncertainty": np.full((12, 17), -1.0)}, "`uncertainty` must be finite and at least 0"),
        ({"keypoints_2d": np.zeros((12, 17, 3))}, "`keypoints_2d` must have shape [T, J, 2]"),
        ({"keypoints_2d": np.zeros((9, 17, 2))}, "`keypoints_2d` must have the frames and joints"),
    ],
)
def test_a_track_that_breaks_a_rule_is_refused_by_field(fields, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        people.track(**fields)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"space": "scene"}, "`space` must be one of root, camera, world. Received: 'scene'."),
        ({"frame_rate": 0.0}, "`frame_rate` must be a number above 0. Received: 0.0."),
        ({"frame_rate": "50"}, "`frame_rate` must be a number above 0. Received: 50."),
        ({"first_frame": -1}, "`first_frame` must be a whole number of at least 0. Received: -1."),
        ({"joint_names": ("hip",) * 17}, "`joint_names` must be texts, each once."),
        ({"parents": (-1,) * 17}, "`parents` must name for each of 17 joints an earlier one"),
        ({"parents": (-1, 0)}, "`parents` must name for each of 17 joints an earlier one"),
        ({"parents": (-1, 2, *range(15))}, "`parents` must name for each of 17 joints an earlier"),
        ({"image_size": (640, 0)}, "`image_size` must be width and height in whole pixels."),
        ({"about": {"seen": {1}}}, "`about` must hold JSON values only."),
        ({"about": {"loss": float("nan")}}, "`about` must hold JSON values only."),
        ({"tracks": ()}, "`tracks` must hold somebody. Received: none."),
    ],
)
def test_a_clip_that_breaks_a_rule_is_refused_by_field(fields, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        dataclasses.replace(people.clip(), **fields)


def test_tracks_of_other_lengths_or_one_name_are_refused():
    with pytest.raises(ValueError, match=r"`tracks` must all have 12 frames and 17 joints.*b with"):
        people.clip(people.track(), people.track("b", num_frames=9))
    with pytest.raises(ValueError, match="`tracks` must each have a name of its own"):
        people.clip(people.track(), people.track(seed=1))
