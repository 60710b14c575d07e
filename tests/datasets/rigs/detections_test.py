import pathlib

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import detections
from tests import refusals
from tests.datasets.rigs import surest_people

PATH = pathlib.Path("seen.json")
COCO = skeletons.COCO_17


def person(confidence, seed=0):
    points = np.random.default_rng(seed).uniform(1, 1000, (17, 3))
    points[:, 2] = confidence
    return points


def frame(number, *people):
    return detections.Frame(
        number, PATH, f"frame {number}", [each.ravel().tolist() for each in people]
    )


def test_frames_are_put_in_order_and_gaps_stay():
    track = surest_people.track([frame(9, person(0.9)), frame(2, person(0.2)), frame(4)], COCO)
    assert track.frames.tolist() == [2, 4, 9]
    assert track.confidence[:, 0].tolist() == [0.2, 0.0, 0.9]
    np.testing.assert_array_equal(track.keypoints_2d[[0, 2]], [person(0)[:, :2]] * 2)
    assert (track.keypoints_2d[1] == 0).all()


def test_the_person_most_surely_seen_is_chosen_by_the_sum_before_confidences_are_cut():
    loud, steady = person(0.3), person(0.9, seed=1)
    # Cut first, its sum would be 1 + 16 * 0.3 = 5.8, less than 15.3.
    loud[0, 2] = 20.0
    track = surest_people.track([frame(0, steady, loud)], COCO)
    np.testing.assert_array_equal(track.keypoints_2d[0], loud[:, :2])
    assert track.confidence[0].tolist() == [1.0] + [0.3] * 16


def test_each_frame_has_its_own_choice_and_of_equals_the_first():
    first, second, third, surer = (person(0.2, seed) for seed in range(4))
    surer[:, 2] = 0.3
    track = surest_people.track([frame(0, first, second), frame(1, third, surer)], COCO)
    np.testing.assert_array_equal(track.keypoints_2d, [first[:, :2], surer[:, :2]])


@pytest.mark.parametrize("frames", [[], [frame(0), frame(1)]], ids=["no frame", "nobody"])
def test_nobody_is_a_track_too(frames):
    track = surest_people.track(frames, COCO)
    assert track.confidence.shape == (len(frames), 17)
    assert not track.confidence.any()


def test_people_may_be_rows_of_joints():
    nested = detections.Frame(0, PATH, "frame", [person(0.4).tolist()])
    mixed = detections.Frame(1, PATH, "frame", [person(0.4).ravel().tolist()])
    track = surest_people.track([nested, mixed], COCO)
    np.testing.assert_array_equal(track.keypoints_2d[0], track.keypoints_2d[1])


@pytest.mark.parametrize(
    ("bad", "field", "message"),
    [
        (frame(3), "frame number", "be the only one of its frame. Received: 3"),
        (frame(-1), "frame number", "be from 0 to 1000000000. Received: -1"),
        (frame(10**12), "frame number", "be from 0 to 1000000000"),
        (frame("4"), "frame number", "Received: 4"),
        (frame(5, np.ones((18, 3))), "frame 5", "have the 17 joints of coco_17. Received: 18"),
        (frame(5, np.ones(50)), "frame 5", "have the 17 joints.*Received: 50 numbers"),
        (frame(5, person(np.nan)), "frame 5", "be finite.*Received: nan"),
        (frame(5, person(0.5), person(-0.1)), "frame 5", "at least 0. Received: -0.1"),
        (detections.Frame(5, PATH, "frame 5", ["none"]), "frame 5", "hold x, y and confidence"),
        (detections.Frame(5, PATH, "frame 5", [{"x": 1}]), "frame 5", "hold x, y and confidence"),
    ],
)
def test_what_cannot_be_is_refused_by_file_and_frame(bad, field, message):
    frames = [frame(3, person(0.5)), bad]
    refusals.refused(message, surest_people.track, frames, COCO, at=(PATH, field))


def test_scores_that_are_no_shares_are_refused_with_the_scale_and_read_with_it():
    # SimCC's scores reach some 10.
    body = person(0.5)
    body[:, 2] = np.linspace(1.0, 9.0, 17)
    frames = [frame(number, body) for number in range(4)]
    rule = r"`max_score` be told, likely 10. .* 94% above, up to 9"
    refusals.refused(rule, detections.follow, frames, COCO)
    track = surest_people.track(frames, COCO, max_score=9.0)
    np.testing.assert_allclose(track.confidence[2], np.linspace(1.0, 9.0, 17) / 9)
    shares = [frame(number, person(0.9)) for number in range(4)]
    with pytest.raises(errors.RecordingError, match=r"in \[0, 10\], or another .*, likely 1\. R"):
        detections.follow(shares, COCO, max_score=10.0)


def test_shares_of_the_images_size_are_no_pixels():
    pixels = np.random.default_rng(0).uniform(100, 900, (2, 5, 17, 2))
    seen = np.ones((2, 5, 17))
    detections.require_pixels("file", pixels, seen)
    pixels[1] /= 1000
    refused = refusals.refused
    refused("be pixels.*shares of the image's size", detections.require_pixels, "a", pixels, seen)
    percents = np.clip(pixels[:1] / 10, 10, 90)
    rule = "be pixels.* in all frames of a camera, percents of the image's size"
    refused(rule, detections.require_pixels, "file", percents, seen[:1])
    # What nobody sees says nothing.
    detections.require_pixels("file", pixels, seen * [[[1.0]], [[0.0]]])


def test_tracks_are_laid_out_on_the_clips_frames_and_zero_elsewhere():
    frames = np.array([0, 1, 3])
    keypoints = np.arange(12.0).reshape(3, 2, 2) + 1
    confidence = np.array([[0.1, 0.2], [0.3, 0.0], [0.5, 0.6]])
    people = np.concatenate([keypoints, confidence[..., np.newaxis]], axis=-1)
    crowd = detections.Crowd(frames, np.arange(3), people)
    first = detections.Stream(crowd, np.array([0.0, 1.0, 3.0]))
    # One frame earlier: what was frame 0 is before the clip.
    second = detections.Stream(crowd, np.array([-1.0, 0.2, 1.9]))
    streams = [first, None, second]
    chosen = detections.most_surely_seen(streams, 4)
    laid, sure = detections.side_by_side(streams, chosen, 2)
    assert laid.shape == (3, 4, 2, 2)
    zero = [0, 0]
    assert sure[0].tolist() == [[0.1, 0.2], [0.3, 0.0], zero, [0.5, 0.6]]
    assert sure[1].tolist() == [zero] * 4
    assert sure[2].tolist() == [[0.3, 0.0], zero, [0.5, 0.6], zero]
    np.testing.assert_array_equal(laid[0, 3], keypoints[2])
    np.testing.assert_array_equal(laid[2, 2], keypoints[2])
    assert (laid[sure == 0] == 0).all()
