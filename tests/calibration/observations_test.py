import dataclasses

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.calibration import observations
from tests.calibration import rooms


def test_points_are_the_limbs_that_two_views_see_surely_enough():
    (clip,) = rooms.clips(actions=("walking",), num_frames=20, missing_rate=0.3)
    seen = observations.gather([clip], observations.Choice(min_confidence=0.5))
    names = [skeletons.H36M_17.joints[joint] for joint in np.unique(seen.joint)]
    assert sorted(names) == sorted(observations.LIMBS)
    sure = clip.confidence > 0.5
    limbs = np.isin(np.arange(17), seen.joint)
    assert len(seen.frame) == np.count_nonzero((sure.sum(axis=0) >= 2) & limbs)
    weights = clip.confidence[:, seen.frame, seen.joint]
    np.testing.assert_array_equal(seen.weights, np.where(weights > 0.5, weights, 0.0))
    np.testing.assert_array_equal(seen.keypoints_2d, clip.keypoints_2d[:, seen.frame, seen.joint])


def test_more_frames_are_thinned_evenly_over_all_clips():
    clips = rooms.exact_clips(num_frames=50)
    seen = observations.gather(clips, observations.Choice(max_frames=12))
    frames = np.unique(seen.frame)
    assert (len(frames), frames[0], frames[-1]) == (12, 0, 99)
    assert set(np.diff(frames)) == {9}


def test_points_and_views_can_be_chosen():
    _, _, seen = rooms.room(num_cameras=3)
    chosen = seen.select(np.array([5, 2])).views([2, 0])
    np.testing.assert_array_equal(chosen.keypoints_2d, seen.keypoints_2d[[2, 0]][:, [5, 2]])
    np.testing.assert_array_equal(chosen.joint, seen.joint[[5, 2]])
    assert chosen.weights.shape == (2, 2)


def test_clips_of_other_cameras_are_refused():
    first, second = rooms.exact_clips(num_frames=5)
    names = ("x", *second.camera_names[1:])
    with pytest.raises(errors.RecordingError, match=r"'S01_turning_01'.*`camera` must be those"):
        observations.gather(
            [first, dataclasses.replace(second, camera_names=names)], observations.Choice()
        )
    intrinsics = 1.01 * second.camera.intrinsics
    other = dataclasses.replace(second, camera=second.camera._replace(intrinsics=intrinsics))
    with pytest.raises(errors.RecordingError, match="`camera` must be those"):
        observations.gather([first, other], observations.Choice())


def test_nothing_seen_twice_is_refused():
    (clip,) = rooms.exact_clips(num_frames=5, actions=("walking",))
    confidence = clip.confidence * (np.arange(4) == 0)[:, np.newaxis, np.newaxis]
    with pytest.raises(errors.RecordingError, match=r"`confidence` must be above 0\.3"):
        observations.gather(
            [dataclasses.replace(clip, confidence=confidence)], observations.Choice()
        )
    with pytest.raises(ValueError, match="one clip or more"):
        observations.gather([], observations.Choice())


@pytest.mark.parametrize(
    "options", [{"joints": ()}, {"joints": ("tail",)}, {"min_confidence": 1.0}, {"max_frames": 0}]
)
def test_other_choices_are_refused(options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` must"):
        observations.Choice(**options)
