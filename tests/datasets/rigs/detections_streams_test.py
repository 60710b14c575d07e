import numpy as np

from keras_mvlift.datasets.rigs import detections


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
