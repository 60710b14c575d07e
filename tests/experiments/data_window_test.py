import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs, numpy_networks
from keras_mvlift.datasets import view_windows
from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import variants
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import folded
from keras_mvlift.training import lifters, objectives
from tests.experiments import tiny_experiments

NUM_FRAMES = 9
BOTH = pytest.mark.parametrize("is_causal", [False, True])


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data(has_frames_between=True, num_virtual_views=2)


def windowed(data, is_causal=False):
    return training_data.WindowedData(data, view_windows.Windows(NUM_FRAMES, is_causal))


def some(data, is_virtual):
    """Returns `[B, 2]`, instants and usable views, all real or all virtual."""
    is_used = np.count_nonzero(data.seen.confidence > 0, axis=-1) >= 8
    is_used[:, :4] &= not is_virtual
    is_used[:, 4:] &= is_virtual
    return np.argwhere(is_used)[::3]


def lifter(is_causal):
    config = configs.ModelConfig(
        backbone="temporal_dilated",
        width=8,
        filter_widths=(3, 3),
        is_causal=is_causal,
        output_stddev=0.1,
    )
    return lifters.build(config, objectives.TransformReprojection(), 5.0)


@pytest.mark.parametrize("is_virtual", [False, True])
@BOTH
def test_the_frame_that_is_lifted_is_where_the_window_has_it(data, is_causal, is_virtual):
    index = some(data, is_virtual)
    view = windowed(data, is_causal).view_at()(index)
    place = NUM_FRAMES - 1 if is_causal else NUM_FRAMES // 2
    np.testing.assert_allclose(view.window_keypoints_2d[:, place], view.keypoints_2d, atol=0.05)
    expected = tf.nest.map_structure(lambda field: field[tuple(index.T)], data.seen)
    np.testing.assert_array_equal(view.keypoints_2d, expected.keypoints_2d)
    np.testing.assert_array_equal(view.confidence, expected.confidence)
    for field, value in zip(view.camera, expected.camera, strict=True):
        np.testing.assert_array_equal(field, value)


def test_windows_hold_the_frames_between(data):
    index = some(data, is_virtual=False)
    view = windowed(data).view_at()(index)
    # Frame by frame people hardly move; from one frame that is lifted to the next they do.
    keypoints = np.array(view.window_keypoints_2d)
    is_seen = (np.array(view.window_confidence) > 0).all(axis=1)
    ahead = np.abs(keypoints[:, 5] - keypoints[:, 4])[is_seen]
    further = np.abs(keypoints[:, 8] - keypoints[:, 4])[is_seen]
    assert 0 < np.median(ahead) < np.median(further)
    assert data.place[index[:, 0], 1].max() == 15
    assert set(np.diff(np.unique(data.place[:, 1]))) == {5}


def test_a_virtual_camera_stands_still_and_sees_what_was_triangulated(data):
    index = some(data, is_virtual=True)
    view = windowed(data).view_at()(index)
    for (instant, _), at in zip(index[:5], range(5), strict=True):
        clip, frame = data.place[instant]
        # The frame before the middle one, if the clip has it.
        (cell,) = data.points.cells([clip], [max(frame - 1, 0)])
        points = data.points.tracks.view.keypoints_2d[cell]
        camera = cameras.Camera(*(field[at] for field in view.camera))
        seen = cameras.project(cameras.camera_from_world(points, camera), camera.intrinsics)
        is_known = np.array(points != 0).any(axis=-1)
        given = np.array(view.window_keypoints_2d[at, NUM_FRAMES // 2 - 1])
        np.testing.assert_allclose(given[is_known], np.array(seen)[is_known], atol=0.05)
        assert (given[~is_known] == 0).all()


def test_pairs_are_those_of_single_frames(data):
    config = configs.FinetuneConfig(batch_size=8, seed=3)
    one, other = (
        next(iter(given.pair_source().batches(config, 0, None))) for given in (data, windowed(data))
    )
    for side, expected in zip(other, one, strict=True):
        np.testing.assert_array_equal(side.keypoints_2d, expected.keypoints_2d)
        assert side.window_keypoints_2d.shape == (8, NUM_FRAMES, 17, 2)


@BOTH
def test_whole_films_are_lifted_as_windows_are(data, is_causal):
    given, model = windowed(data, is_causal), lifter(is_causal)
    everything = given.lift(model)
    assert everything.shape == data.test.reference_pose.shape
    # Few test views: all of them are measured after each epoch.
    one_by_one = model(given.test.view, training=False).root_relative_pose
    assert one_by_one.numpy().std() > 0.01
    np.testing.assert_allclose(everything, one_by_one, atol=1e-5)


@BOTH
def test_a_stream_of_frames_gives_the_same_poses(is_causal):
    filming = variants.Filming(missing_rate=0.0, dropped_view_rate=0.0)
    data = tiny_experiments.data(has_frames_between=True, filming=filming)
    given, model = windowed(data, is_causal), lifter(is_causal)
    film, cell = data.test_film
    first, last = int(film.tracks.first[cell[0]]), int(film.tracks.last[cell[0]])
    stream = numpy_networks.PoseStream(folded.fold(model.lifting_network))
    view = film.tracks.view
    lifted = [
        stream.push(view.keypoints_2d[at], view.confidence[at], view.camera.intrinsics[at])
        for at in range(first, last + 1)
    ]
    poses = [pose for pose, _ in [*filter(None, lifted), *stream.finish()]]
    is_there = (cell >= first) & (cell <= last)
    assert is_there.sum() > 2
    np.testing.assert_allclose(
        np.stack(poses)[cell[is_there] - first], given.lift(model)[is_there], atol=1e-5
    )
