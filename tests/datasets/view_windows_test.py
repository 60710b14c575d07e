import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, tfrecords, view_windows
from tests import tiny_studio
from tests.datasets import clips

BATCH, NUM_FRAMES, NUM_CLIPS = 7, 9, 5
WINDOWS = view_windows.Windows(NUM_FRAMES)
# Three cameras, so three pairs an instant; the keypoint tells clip and frame.
STEPS = NUM_FRAMES * 3 * NUM_CLIPS // BATCH


def prepare(number, num_virtual_views=0, num_frames=NUM_FRAMES):
    clip = clips.exact(3, num_frames, name=f"clip_{number}")
    clip.keypoints_2d[:, :, 0, 0] = 1000 * number + 1 + np.arange(num_frames)
    config = configs.DataConfig(num_virtual_views=num_virtual_views)
    return preparation.prepare(clip, preparation.BySubject(test_subjects=()), config).train_pairs


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    for number in range(NUM_CLIPS):
        tiny_studio.write(folder / f"{number}.gz", prepare(number))
    return str(folder / "*.gz")


@pytest.fixture(params=[8, 2])
def num_clips(request, monkeypatch):
    monkeypatch.setattr(view_windows, "_NUM_CLIPS", request.param)


def names(pair):
    """Tells each pair of windows by its clip, its frame and its cameras."""
    instants = pair.source.keypoints_2d[:, 0, 0].numpy().astype(int).tolist()
    centers = pair.source.camera.center.numpy(), pair.target.camera.center.numpy()
    sides = [np.round(center[:, 0], 3).tolist() for center in centers]
    return list(zip(instants, *sides, strict=True))


def load(pattern, **options):
    return view_windows.load(pattern, BATCH, WINDOWS, **({"seed": 0} | options))


def epochs(dataset, count):
    batches = [names(pair) for pair in dataset.take(count * STEPS)]
    grouped = [batches[start : start + STEPS] for start in range(0, len(batches), STEPS)]
    return [list(itertools.chain(*epoch)) for epoch in grouped]


def everything(pattern):
    return [*itertools.chain(*map(names, view_windows.load_once(pattern, BATCH, WINDOWS)))]


@pytest.mark.usefixtures("num_clips")
def test_each_epoch_holds_every_pair_once_up_to_the_rest(pattern):
    expected = set(everything(pattern))
    assert len(expected) == NUM_FRAMES * 3 * NUM_CLIPS
    orders = epochs(load(pattern), 3)
    for order in orders:
        assert len(order) == len(set(order)) == STEPS * BATCH
        assert set(order) <= expected
    assert len({tuple(order) for order in orders}) == 3


@pytest.mark.usefixtures("num_clips")
def test_starting_at_an_epoch_equals_skipping_those_before(pattern):
    unbroken = epochs(load(pattern), 4)
    assert epochs(load(pattern, first_epoch=2), 2) == unbroken[2:]
    assert epochs(load(pattern, seed=1), 4) != unbroken


def test_clips_of_a_group_are_mixed(pattern):
    first = [clip // 1000 for clip, *_ in epochs(load(pattern), 1)[0][:BATCH]]
    assert len(set(first)) > 1


def test_both_windows_show_the_frames_around_the_pair(pattern):
    for pair in view_windows.load_once(pattern, BATCH, WINDOWS):
        for view in pair:
            shown = view.window_keypoints_2d[:, :, 0, 0].numpy()
            middle = view.keypoints_2d[:, 0, 0].numpy()[:, np.newaxis]
            first = middle // 1000 * 1000 + 1
            wanted = middle + np.arange(-4, 5)
            expected = np.clip(wanted, first, first + NUM_FRAMES - 1)
            np.testing.assert_array_equal(shown, expected)
            is_measured = view.window_confidence.numpy().min(axis=-1) > 0
            np.testing.assert_array_equal(is_measured, wanted == expected)


def test_the_frame_that_is_lifted_is_the_pair_as_it_was_written(pattern):
    windowed = view_windows.load_once(pattern, BATCH, view_windows.Windows(3, is_causal=True))
    for pair, expected in zip(windowed, tfrecords.load_once(pattern, BATCH), strict=True):
        for view, written in zip(pair, expected, strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, view.view, written)
            last = view.window_keypoints_2d[:, -1]
            np.testing.assert_array_equal(last, written.keypoints_2d)


def test_a_window_has_a_cameras_frames_of_all_pairs_that_it_is_in(tmp_path):
    columns = prepare(0)
    # Each instant has one pair left, another one than its neighbors.
    is_kept = np.arange(len(columns["frame"])) % 4 == 0
    path = tiny_studio.write(tmp_path / "0.gz", {k: v[is_kept] for k, v in columns.items()})
    pairs = next(iter(view_windows.load_once(path, 99, WINDOWS)))
    given = columns["source/camera"][is_kept].tolist(), columns["target/camera"][is_kept].tolist()
    frame = columns["frame"][is_kept].tolist()
    known = {*zip(given[0], frame, strict=True), *zip(given[1], frame, strict=True)}
    for view, camera in zip(pairs, given, strict=True):
        is_measured = view.window_confidence.numpy().min(axis=-1) > 0
        expected = [
            [(name, number + offset) in known for offset in range(-4, 5)]
            for name, number in zip(camera, frame, strict=True)
        ]
        np.testing.assert_array_equal(is_measured, expected)


def test_virtual_views_have_no_windows(tmp_path, pattern):
    tiny_studio.write(tmp_path / "0.gz", prepare(0, num_virtual_views=2))
    only_virtual = prepare(1, num_virtual_views=2)
    is_kept = np.array([name.startswith("virtual") for name in only_virtual["target/camera"]])
    virtual = {name: values[is_kept] for name, values in only_virtual.items()}
    tiny_studio.write(tmp_path / "1.gz", virtual)
    real = [name for name in everything(pattern) if name[0] < 1000]
    assert sorted(everything(str(tmp_path / "*.gz"))) == sorted(real)
    assert view_windows.count(str(tmp_path / "*.gz")) == len(real) > 0


def test_what_fills_no_batch_is_refused(pattern, tmp_path):
    num_pairs = NUM_FRAMES * 3 * NUM_CLIPS
    windows = view_windows.Windows(3)
    (batch,) = view_windows.load(pattern, num_pairs, windows, seed=0).take(1)
    assert len(batch.source.rays) == 135
    rule = r"`batch_size` must be at most the number of pairs of real views, 135. Received: 136"
    with pytest.raises(ValueError, match=rule):
        view_windows.load(pattern, num_pairs + 1, windows, seed=0)
    for read in (view_windows.count, lambda files: view_windows.load(files, 1, windows, seed=0)):
        with pytest.raises(ValueError, match="`file_pattern` must match a file"):
            read(str(tmp_path / "*.gz"))
