import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs, trained_models
from keras_mvlift.calibration import reports
from keras_mvlift.datasets import preparation, sequences, view_windows
from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import variants
from keras_mvlift.export import compact
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import synthetic
from keras_mvlift.training import lifters, objectives, stage_data
from tests import tiny_studio
from tests.experiments import tiny_experiments


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


def test_nobody_is_in_training_and_in_test(data):
    assert set(np.char.partition(data.test.clip, "_")[:, 0]) == {"S03"}
    assert set(np.char.partition(data.labeled.clip, "_")[:, 0]) == {"S01", "S02"}
    assert (data.about["train_people"], data.about["test_people"]) == (2, 1)


def test_pairs_are_of_two_usable_views(data):
    instant, source, target = data.pairs.T
    assert (source < target).all()
    for view in (source, target):
        assert (np.count_nonzero(data.seen.confidence[instant, view], axis=-1) >= 8).all()
    assert len(np.unique(data.pairs, axis=0)) == len(data.pairs)


def test_a_batch_holds_the_views_that_its_pairs_name(data):
    config = configs.FinetuneConfig(batch_size=8)
    pair = next(iter(data.pair_source().batches(config, 0, None)))
    keypoints = data.seen.keypoints_2d.reshape(-1, 34)
    for side in pair:
        rows = np.reshape(side.keypoints_2d, (8, 34))
        at = [np.flatnonzero((keypoints == row).all(axis=1)) for row in rows]
        assert all(len(found) for found in at)
        centers = data.seen.camera.center.reshape(-1, 3)[[found[0] for found in at]]
        np.testing.assert_array_equal(side.camera.center, centers)
    assert not np.array_equal(pair.source.camera.center, pair.target.camera.center)


def test_pairs_are_drawn_as_the_pipeline_draws_them(data, tmp_path):
    clips = tiny_experiments.STUDIO.load(variants.DataSettings())
    prepared = [preparation.prepare(c, clips.split, clips.config).train_pairs for c in clips.clips]
    tables = [table for table in prepared if len(table["frame"])]
    paths = [tiny_studio.write(tmp_path / f"{n:03}.gz", table) for n, table in enumerate(tables)]
    files = stage_data.Files(paths, [], tmp_path, tmp_path)
    config = configs.FinetuneConfig(batch_size=64, seed=3)
    steps = files.steps_per_epoch(config, "Finetune")
    arrays = stage_data.Arrays(source=data.pair_source(), steps=steps, checkpoints=tmp_path)
    assert len(data.pairs) == files.count_pairs()
    drawn = [source.batches(config, 2, None).take(3) for source in (files, arrays)]
    for one, other in zip(*drawn, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_virtual_views_are_trained_on_but_neither_labeled_nor_tested(data):
    augmented = tiny_experiments.data(num_virtual_views=3)
    assert augmented.seen.confidence.shape[1] == 7
    # Of four real views and three others, without the pairs of two others.
    assert len(augmented.pairs) == 3 * len(data.pairs)
    assert augmented.pairs[:, 1].max() == 3
    assert set(augmented.labeled.camera) == set(augmented.test.camera) == set(data.test.camera)


def test_the_test_people_may_be_filmed_by_another_rig(data):
    ring = variants.Filming(rig="ring", num_cameras=3)
    moved = tiny_experiments.data(test_filming=ring)
    assert set(moved.test.camera) == {"camera_1", "camera_2", "camera_3"}
    np.testing.assert_array_equal(moved.seen.keypoints_2d, data.seen.keypoints_2d)


def test_few_cameras_are_of_training_and_its_labels_alone(data):
    few = tiny_experiments.data(num_train_cameras=2)
    assert few.seen.confidence.shape[1] == few.about["cameras"] == 2
    assert set(few.labeled.camera) == {"camera_1", "camera_2"}
    np.testing.assert_array_equal(few.test.view.keypoints_2d, data.test.view.keypoints_2d)


STUDIO = synthetic.Studio(num_subjects=2, num_clips=1, num_frames=12, noise_px=0.0)


@pytest.fixture(scope="module")
def clips():
    return list(STUDIO)


@pytest.fixture(scope="module")
def every(clips):
    # The second clip lacks a frame, and its numbers do not begin at 0.
    frames = [np.arange(12), np.array([3, 4, 6, 7])]
    return [sequences.instants_of_sequence(*both) for both in zip(clips, frames, strict=True)]


def test_each_view_is_found_again(clips, every):
    film = training_data.of_views(every, min_joints=8)
    for number, seen in enumerate(every):
        for row, frame in enumerate(seen.frame):
            for view in range(4):
                cell = film.cell[number, view, frame]
                if not seen.is_used(8)[row, view]:
                    assert cell == -1
                    continue
                np.testing.assert_allclose(
                    film.tracks.view.keypoints_2d[cell], seen.keypoints_2d[row, view], rtol=1e-6
                )


def test_what_is_not_there_is_not_found(every):
    film = training_data.of_views(every, min_joints=8)
    # The second clip lacks a frame, and ends before the first.
    assert film.cell[1, 0, [5, 11]].tolist() == [-1, -1]


def test_a_camera_s_frames_follow_each_other_and_end_with_the_clip(every):
    film = training_data.of_views(every, min_joints=8)
    first, last = film.cell[1, 0, [3, 7]]
    # The missing frame is filled.
    assert last - first == 4
    assert film.tracks.first[last] == first
    assert film.tracks.last[first] == last


def test_points_are_where_the_people_are(clips, every):
    film = training_data.of_points(every, min_confidence=0.3)
    cell = film.cell[1, 6]
    is_known = film.tracks.view.confidence[cell].numpy() > 0
    assert is_known.sum() > 12
    np.testing.assert_allclose(
        film.tracks.view.keypoints_2d[cell].numpy()[is_known],
        clips[1].pose_world[6][is_known],
        atol=0.002,
    )


def test_test_views_are_found_among_those_of_all_frames():
    data = tiny_experiments.data(has_frames_between=True)
    film, cell = data.test_film
    np.testing.assert_array_equal(
        np.array(film.tracks.view.keypoints_2d)[cell], data.test.view.keypoints_2d
    )
    np.testing.assert_array_equal(
        np.array(film.tracks.view.camera.center)[cell], data.test.view.camera.center
    )


@pytest.fixture(scope="module")
def filmed():
    return list(tiny_experiments.STUDIO.load(variants.DataSettings()).clips)


def degrees_apart(camera, other):
    _, angle = reports.differences(camera, other)
    return np.degrees(angle)


def test_a_wrong_rig_is_turned_camera_by_camera_by_so_many_degrees(filmed):
    camera = filmed[0].camera
    wrong = training_data.turned(camera, 1.5)
    np.testing.assert_allclose(degrees_apart(wrong, camera), 1.5, rtol=1e-6)
    np.testing.assert_array_equal(wrong.center, camera.center)
    # No turn of the whole rig undoes it.
    back = reports.align(wrong, camera, reach=5.0, with_scale=True)
    assert degrees_apart(back, camera).max() > 0.3


def test_methods_without_labels_see_the_wrong_rig_and_labels_and_test_the_true_one(filmed):
    data = tiny_experiments.data()
    wrong = tiny_experiments.data(calibration_error=2.0)
    assert np.abs(wrong.seen.camera.rotation - data.seen.camera.rotation).max() > 0.01
    np.testing.assert_array_equal(wrong.labeled.reference_pose, data.labeled.reference_pose)
    np.testing.assert_array_equal(wrong.test.view.camera.rotation, data.test.view.camera.rotation)
    assert wrong.rig_distance != data.rig_distance


def test_the_first_cameras_of_a_rig_see_what_they_saw(filmed):
    lens = np.arange(20.0).reshape(4, 5)
    clip = dataclasses.replace(filmed[0], distortion=lens, absent=("camera_4",))
    few = training_data.first_cameras(clip, 2)
    assert few.camera_names == clip.camera_names[:2]
    assert few.absent == ()
    for name in ("keypoints_2d", "confidence", "distortion"):
        np.testing.assert_array_equal(getattr(few, name), getattr(clip, name)[:2])
    np.testing.assert_array_equal(few.camera.center, clip.camera.center[:2])
    assert training_data.first_cameras(clip, 0) is clip


NUM_FRAMES = 9
BOTH = pytest.mark.parametrize("is_causal", [False, True])


@pytest.fixture(scope="module")
def film():
    return tiny_experiments.data(has_frames_between=True, num_virtual_views=2)


def windowed(film, is_causal=False):
    return training_data.WindowedData(film, view_windows.Windows(NUM_FRAMES, is_causal))


def some(film, is_virtual):
    """Returns `[B, 2]`, instants and usable views, all real or all virtual."""
    is_used = np.count_nonzero(film.seen.confidence > 0, axis=-1) >= 8
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
def test_the_frame_that_is_lifted_is_where_the_window_has_it(film, is_causal, is_virtual):
    index = some(film, is_virtual)
    view = windowed(film, is_causal).view_at(index)
    place = NUM_FRAMES - 1 if is_causal else NUM_FRAMES // 2
    np.testing.assert_allclose(view.window_keypoints_2d[:, place], view.keypoints_2d, atol=0.05)
    expected = tf.nest.map_structure(lambda field: field[tuple(index.T)], film.seen)
    np.testing.assert_array_equal(view.keypoints_2d, expected.keypoints_2d)
    np.testing.assert_array_equal(view.confidence, expected.confidence)
    for field, value in zip(view.camera, expected.camera, strict=True):
        np.testing.assert_array_equal(field, value)


def test_windows_hold_the_frames_between(film):
    index = some(film, is_virtual=False)
    view = windowed(film).view_at(index)
    # Frame by frame people hardly move; from one frame that is lifted to the next they do.
    keypoints = np.array(view.window_keypoints_2d)
    is_seen = (np.array(view.window_confidence) > 0).all(axis=1)
    ahead = np.abs(keypoints[:, 5] - keypoints[:, 4])[is_seen]
    further = np.abs(keypoints[:, 8] - keypoints[:, 4])[is_seen]
    assert 0 < np.median(ahead) < np.median(further)
    assert film.place[index[:, 0], 1].max() == 15
    assert set(np.diff(np.unique(film.place[:, 1]))) == {5}


def test_a_virtual_camera_stands_still_and_sees_what_was_triangulated(film):
    index = some(film, is_virtual=True)
    view = windowed(film).view_at(index)
    for (instant, _), at in zip(index[:5], range(5), strict=True):
        clip, frame = film.place[instant]
        # The frame before the middle one, if the clip has it.
        cell = film.points.cell[clip, max(frame - 1, 0)]
        points = film.points.tracks.view.keypoints_2d[cell]
        camera = cameras.Camera(*(field[at] for field in view.camera))
        seen = cameras.project(cameras.camera_from_world(points, camera), camera.intrinsics)
        is_known = np.array(points != 0).any(axis=-1)
        given = np.array(view.window_keypoints_2d[at, NUM_FRAMES // 2 - 1])
        np.testing.assert_allclose(given[is_known], np.array(seen)[is_known], atol=0.05)
        assert (given[~is_known] == 0).all()


def test_pairs_are_those_of_single_frames(film):
    config = configs.FinetuneConfig(batch_size=8, seed=3)
    one, other = (
        next(iter(given.pair_source().batches(config, 0, None))) for given in (film, windowed(film))
    )
    for side, expected in zip(other, one, strict=True):
        np.testing.assert_array_equal(side.keypoints_2d, expected.keypoints_2d)
        assert side.window_keypoints_2d.shape == (8, NUM_FRAMES, 17, 2)


@BOTH
def test_whole_films_are_lifted_as_windows_are(film, is_causal):
    given, model = windowed(film, is_causal), lifter(is_causal)
    everything = given.lift(model)
    assert everything.shape == film.test.reference_pose.shape
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
    stream = trained_models.PoseStream(compact.fold_temporal(model.lifting_network))
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
