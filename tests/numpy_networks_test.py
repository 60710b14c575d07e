import subprocess
import sys

import numpy as np
import pytest

from keras_mvlift import numpy_networks
from keras_mvlift.geometry import triangulation
from keras_mvlift.networks import folded, residual, temporal
from tests import temporal_networks

INTRINSICS = np.array([[1100, 0, 510], [0, 1120, 490], [0, 0, 1]], np.float32)
LIFTING = {causal: temporal_networks.trained(is_causal=causal) for causal in (False, True)}
ROOT = {causal: temporal_networks.trained(3, 1, is_causal=causal) for causal in (False, True)}
BOTH = pytest.mark.parametrize("is_causal", [False, True])


def run(stream, frames):
    """Returns what pushing frames and finishing gives, and at which frame each output came."""
    outputs, arrivals = [], []
    for number, frame in enumerate(frames):
        given = stream.push(*frame)
        if given is not None:
            outputs.append(given)
            arrivals.append(number)
    return [*outputs, *stream.finish()], arrivals


def rays(clip):
    return ((joints,) for joints in clip)


@BOTH
@pytest.mark.parametrize("num_frames", [1, 7, 22, 23, 100])
def test_a_stream_gives_what_the_whole_clip_gives(is_causal, num_frames):
    clip = temporal_networks.clip(num_frames)
    expected = temporal.dilated(LIFTING[is_causal])(clip[np.newaxis])[0]
    stream = numpy_networks.OutputStream(folded.fold(LIFTING[is_causal]))
    outputs, _ = run(stream, rays(clip))
    np.testing.assert_allclose(np.stack(outputs), expected, atol=1e-5)


@pytest.mark.parametrize(("is_causal", "delay"), [(False, 22), (True, 0)])
def test_outputs_come_with_the_delay_that_it_says(is_causal, delay):
    stream = numpy_networks.OutputStream(folded.fold(LIFTING[is_causal]))
    assert stream.delay == delay
    _, arrivals = run(stream, rays(temporal_networks.clip(50)))
    assert arrivals == list(range(delay, 50))


@BOTH
def test_a_stream_can_take_clip_after_clip(is_causal):
    stream = numpy_networks.OutputStream(folded.fold(LIFTING[is_causal]))
    assert stream.finish() == []
    first, second = temporal_networks.clip(30), temporal_networks.clip(12, seed=1)
    run(stream, rays(first))
    outputs, _ = run(stream, rays(second))
    expected = temporal.dilated(LIFTING[is_causal])(second[np.newaxis])[0]
    np.testing.assert_allclose(np.stack(outputs), expected, atol=1e-5)


@BOTH
def test_several_people_are_lifted_side_by_side(is_causal):
    clips = temporal_networks.clip(30, 2, 3)
    stream = numpy_networks.OutputStream(folded.fold(LIFTING[is_causal]))
    outputs, _ = run(stream, rays(np.moveaxis(clips, 2, 0)))
    expected = temporal.dilated(LIFTING[is_causal])(clips.reshape(6, 30, 17, 2))
    np.testing.assert_allclose(
        np.stack(outputs, axis=2), expected.numpy().reshape(2, 3, 30, 51), atol=1e-5
    )


def test_the_work_of_a_frame_does_not_grow_with_the_window(monkeypatch):
    rows = []
    original = numpy_networks.OutputStream._dense_layer

    def counted(self, x, number):
        rows.append(x.size // x.shape[-1])
        return original(self, x, number)

    monkeypatch.setattr(numpy_networks.OutputStream, "_dense_layer", counted)
    model = temporal_networks.trained(filter_widths=(3, 3, 3, 3), width=4)
    stream = numpy_networks.OutputStream(folded.fold(model))
    for joints in temporal_networks.clip(5):
        rows.clear()
        stream.push(joints)
        # Seven layers, of one frame each, the first frame included.
        assert rows == [1] * 7


def film(num_frames, seed=0):
    return temporal_networks.film(num_frames, seed=seed)


def whole_clip(is_causal, seen, confidence):
    pose = temporal.dilated(LIFTING[is_causal])(seen[np.newaxis])[0].numpy().reshape(-1, 17, 3)
    outputs = temporal.dilated(ROOT[is_causal])(seen[np.newaxis])[0]
    pose -= pose[:, :1]
    predicted = residual.RayRoot(5.0)((outputs, seen)).numpy()
    return pose, triangulation.root_in_view(pose, seen, confidence, predicted)


def pose_stream(is_causal):
    networks = (folded.fold(model[is_causal]) for model in (LIFTING, ROOT))
    return numpy_networks.PoseStream(*networks, residual.RayRoot(5.0))


@BOTH
@pytest.mark.parametrize("num_frames", [5, 60])
def test_poses_and_positions_are_those_of_the_whole_clip(is_causal, num_frames):
    keypoints_2d, confidence = film(num_frames)
    frames = ((*frame, INTRINSICS) for frame in zip(keypoints_2d, confidence, strict=True))
    results, _ = run(pose_stream(is_causal), frames)
    seen = (keypoints_2d - [510, 490]) / [1100, 1120] * (confidence > 0)[..., np.newaxis]
    pose, root_position = whole_clip(is_causal, seen.astype(np.float32), confidence)
    np.testing.assert_allclose([result[0] for result in results], pose, atol=1e-5)
    np.testing.assert_allclose([result[1] for result in results], root_position, atol=1e-4)


@BOTH
def test_a_frame_in_which_nobody_is_seen_repeats_the_one_before(is_causal):
    keypoints_2d, confidence = film(30)
    confidence[10:12] = 0.0
    repeated = [number if number not in (10, 11) else 9 for number in range(30)]
    with_gap, with_repetition = (
        run(
            pose_stream(is_causal),
            ((keypoints_2d[at], confidence[at], INTRINSICS) for at in order),
        )[0]
        for order in (range(30), repeated)
    )
    for given, expected in zip(with_gap, with_repetition, strict=True):
        np.testing.assert_array_equal(given[0], expected[0])
        np.testing.assert_array_equal(given[1], expected[1])


def test_a_clip_that_begins_with_nobody_repeats_nothing_of_the_one_before():
    keypoints_2d, confidence = film(30)
    confidence[0] = 0.0
    frames = [(keypoints_2d[at], confidence[at], INTRINSICS) for at in range(30)]
    stream = pose_stream(is_causal=False)
    first, again = (run(stream, frames)[0] for _ in range(2))
    for given, expected in zip(again, first, strict=True):
        np.testing.assert_array_equal(given[0], expected[0])


def test_a_person_who_comes_late_was_there_all_along_for_what_is_still_due():
    # Two people side by side, the second of whom is seen from frame 30 on.
    clips = [film(60, seed) for seed in (0, 1)]
    keypoints_2d, confidence = (np.stack(parts, axis=1) for parts in zip(*clips, strict=True))
    confidence[:30, 1] = 0.0
    frames = zip(keypoints_2d, confidence, [INTRINSICS] * 60, strict=True)
    results, _ = run(pose_stream(is_causal=False), frames)
    seen = (keypoints_2d - [510, 490]) / [1100, 1120] * (confidence > 0)[..., np.newaxis]
    seen[:30, 1], confidence[:30, 1] = seen[30, 1], confidence[30, 1]
    # Half a window before frame 30 poses of the second were given out.
    for person, first in ((0, 0), (1, 30 - 22)):
        whole = whole_clip(False, seen[:, person].astype(np.float32), confidence[:, person])
        pose, root_position = whole
        given = [np.stack(parts)[first:, person] for parts in zip(*results, strict=True)]
        np.testing.assert_allclose(given[0], pose[first:], atol=1e-5)
        np.testing.assert_allclose(given[1], root_position[first:], atol=1e-4)


def test_without_a_root_network_there_is_no_position():
    stream = numpy_networks.PoseStream(folded.fold(LIFTING[True]))
    pose, root_position = stream.push(np.zeros((17, 2)), np.ones(17), INTRINSICS)
    assert pose.shape == (17, 3)
    assert root_position is None
    with pytest.raises(ValueError, match="`root_network` and `root_head` must be given together"):
        numpy_networks.PoseStream(folded.fold(LIFTING[True]), root_head=residual.LinearRoot())


def test_a_file_is_all_that_a_stream_needs(tmp_path):
    folded.save(LIFTING[True], tmp_path / "network.npz")
    stream = numpy_networks.OutputStream(numpy_networks.read(tmp_path / "network.npz"))
    clip = temporal_networks.clip(3)
    outputs, _ = run(stream, rays(clip))
    np.testing.assert_allclose(
        np.stack(outputs), temporal.dilated(LIFTING[True])(clip[np.newaxis])[0], atol=1e-5
    )


def test_streaming_imports_numpy_alone():
    code = (
        "import sys; from keras_mvlift import numpy_networks;"
        "print(sorted({'tensorflow', 'keras', 'scipy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n"
