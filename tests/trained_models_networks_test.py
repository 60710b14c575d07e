import functools
import json
import multiprocessing
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import errors, inference, trained_models
from keras_mvlift.export import compact
from keras_mvlift.geometry import triangulation
from keras_mvlift.networks import residual, temporal
from keras_mvlift.training import lifters
from tests import temporal_networks, tiny_studio

pytestmark = pytest.mark.filterwarnings(f"ignore::{errors.__name__}.InputWarning")

INTRINSICS = np.array([[1100, 0, 510], [0, 1120, 490], [0, 0, 1]], np.float32)
BOTH = pytest.mark.parametrize("is_causal", [False, True])


@functools.cache
def lifting(is_causal):
    return temporal_networks.trained(is_causal=is_causal)


@functools.cache
def root(is_causal):
    return temporal_networks.trained(3, 1, is_causal=is_causal)


def run(stream, frames):
    """Returns what pushing frames and finishing gives, and at which frame each output came."""
    outputs, arrivals = [], []
    for number, frame in enumerate(frames):
        given = stream.push(*frame)
        if given is not None:
            outputs.append(given)
            arrivals.append(number)
    return [*outputs, *stream.finish()], arrivals


OTHER = np.array([[900, 0, 480], [0, 910, 520], [0, 0, 1]], np.float32)
RNG = np.random.default_rng(0)
NUM_VIEWS = trained_models._AT_ONCE + 4
KEYPOINTS = RNG.uniform(300, 700, (NUM_VIEWS, 17, 2))
CONFIDENCE = RNG.uniform(0.1, 1, (NUM_VIEWS, 17))
CONFIDENCE[1, 4], CONFIDENCE[2], CONFIDENCE[3, 0] = 0.0, 0.0, 0.0
KINDS = {
    "solved_root": {},
    "paper": {"recipe": "paper"},
    "paper's backbone": {"backbone": "paper", "layers_per_block": 3},
    "screen": {"recipe": "ray_root", "network_input": "screen"},
    "centered": {"network_input": "centered"},
    "centered paper": {"recipe": "paper", "network_input": "centered"},
}


def save(folder, **settings):
    model = {key: value for key, value in settings.items() if key != "half_precision"}
    tiny_studio.save(tiny_studio.trained(**model), folder, **settings)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("models") / "saved")


def file(folder, name="lifting_network"):
    return folder / lifters.FOLDER / f"{name}.npz"


def tensorflow(folder, signature="lift_camera", keypoints_2d=KEYPOINTS, confidence=CONFIDENCE):
    found = trained_models.open_model(folder).signatures[signature](
        keypoints_2d=tf.constant(keypoints_2d, tf.float32),
        confidence=tf.constant(confidence, tf.float32),
        intrinsics=tf.constant(np.broadcast_to(OTHER, (len(keypoints_2d), 3, 3))),
    )
    return {name: value.numpy() for name, value in found.items()}


def assert_same(lifted, expected):
    for field in ("root_relative_pose", "root_position", "pose_camera"):
        # Networks that nobody trained say kilometers, too.
        tolerance = 1e-5 * max(1.0, np.abs(expected[field]).max())
        found = getattr(lifted, field)
        assert found.dtype == expected[field].dtype
        np.testing.assert_allclose(found, expected[field], atol=tolerance)


def test_the_work_of_a_frame_does_not_grow_with_the_window(monkeypatch):
    rows = []
    original = trained_models._TemporalNetwork._dense_layer

    def counted(self, x, number):
        rows.append(x.size // x.shape[-1])
        return original(self, x, number)

    monkeypatch.setattr(trained_models._TemporalNetwork, "_dense_layer", counted)
    model = temporal_networks.trained(filter_widths=(3, 3, 3, 3), width=4)
    stream = trained_models.PoseStream(compact.fold_temporal(model))
    for joints in temporal_networks.clip(5):
        rows.clear()
        stream.push(joints, np.ones(17), np.eye(3))
        # Seven layers, of one frame each, the first frame included.
        assert rows == [1] * 7


def film(num_frames, seed=0):
    return temporal_networks.film(num_frames, seed=seed)


def whole_clip(is_causal, seen, confidence):
    pose = temporal.dilated(lifting(is_causal))(seen[np.newaxis])[0].numpy().reshape(-1, 17, 3)
    outputs = temporal.dilated(root(is_causal))(seen[np.newaxis])[0]
    pose -= pose[:, :1]
    predicted = residual.RayRoot(5.0)((outputs, seen)).numpy()
    return pose, triangulation.root_in_view(pose, seen, confidence, predicted)


def pose_stream(is_causal):
    networks = (compact.fold_temporal(model(is_causal)) for model in (lifting, root))
    return trained_models.PoseStream(*networks, residual.RayRoot(5.0))


@BOTH
@pytest.mark.parametrize("num_frames", [1, 7, 22, 23, 100])
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


@pytest.mark.parametrize(("is_causal", "delay"), [(False, 22), (True, 0)])
def test_poses_come_with_the_delay_that_it_says(is_causal, delay):
    stream = pose_stream(is_causal)
    assert stream.delay == delay
    assert stream.finish() == []
    frames = zip(*film(50), [INTRINSICS] * 50, strict=True)
    _, arrivals = run(stream, frames)
    assert arrivals == list(range(delay, 50))


def test_a_file_is_all_that_a_stream_needs_for_poses_without_positions(tmp_path):
    np.savez(tmp_path / "network.npz", **compact.fold_temporal(lifting(True)))
    stream = trained_models.PoseStream(trained_models.read(tmp_path / "network.npz"))
    clip = temporal_networks.clip(3)
    results, _ = run(stream, ((joints, np.ones(17), np.eye(3)) for joints in clip))
    pose = temporal.dilated(lifting(True))(clip[np.newaxis])[0].numpy().reshape(-1, 17, 3)
    np.testing.assert_allclose([result[0] for result in results], pose - pose[:, :1], atol=1e-5)
    assert {result[1] for result in results} == {None}
    with pytest.raises(ValueError, match="`root_head` must be given with `root_network`"):
        trained_models.PoseStream(
            compact.fold_temporal(lifting(True)), root_head=residual.LinearRoot()
        )


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS.keys())
def test_it_says_what_tensorflow_says_of_one_view_and_of_many(settings, tmp_path):
    path = save(tmp_path / "saved", **settings)
    model, expected = inference.load_model(path), tensorflow(path)
    assert_same(model.lift(KEYPOINTS, CONFIDENCE, OTHER), expected)
    for view in range(4):
        alone = model.lift(KEYPOINTS[view], CONFIDENCE[view], OTHER)
        assert_same(alone, {name: value[view] for name, value in expected.items()})
    assert np.abs(expected["pose_camera"]).max() > 0.1


def test_weights_of_half_precision_are_kept_so(folder, tmp_path):
    path = save(tmp_path / "halved", half_precision=True)
    assert_same(inference.load_model(path).lift(KEYPOINTS, CONFIDENCE, OTHER), tensorflow(path))
    assert trained_models.read(file(path))["kernel_0"].dtype == np.float16
    assert trained_models.read(file(folder))["kernel_0"].dtype == np.float32


def test_uncertainties_are_those_of_tensorflow(tmp_path):
    built = tiny_studio.trained_uncertainty()
    built.uncertainty.network.get_layer("log_scale").bias.assign(tf.linspace(-9.0, 3.0, 17))
    tiny_studio.save(built, tmp_path / "unsure", uncertainty=True)
    model = inference.load_model(tmp_path / "unsure")
    name = "joint_uncertainty"
    expected = tensorflow(model.path, name)[name]
    given = (KEYPOINTS.astype(np.float32), CONFIDENCE.astype(np.float32))
    given += (np.tile(OTHER, (NUM_VIEWS, 1, 1)),)
    found = model._uncertainty(*given)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert (expected.min(), expected.max()) == pytest.approx((1e-3, 3.0))
    # Without the file of what predicts it, TensorFlow is asked.
    file(model.path, "uncertainty_network").unlink()
    again = inference.load_model(model.path)
    assert again._networks is None
    found = again._uncertainty(*given)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_model_without_such_files_lifts_by_tensorflow_and_may_get_them(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "older")
    for name in trained_models.NETWORKS[:2]:
        file(path, name).unlink()
    model = inference.load_model(path)
    lifted = model.lift(KEYPOINTS, CONFIDENCE, OTHER)
    assert_same(lifted, tensorflow(path))
    assert model._networks is None
    compact.save_networks(trained_models.open_model(path).folded, path / lifters.FOLDER)
    assert file(path).read_bytes() == file(folder).read_bytes()


def test_a_model_with_another_last_layer_has_it_in_both_forms(folder, tmp_path):
    layer = compact.LastLayer(inference.load_model(folder))
    layer.write(0.5 * layer.weights, {}, tmp_path / "halved")
    lifted = inference.load_model(tmp_path / "halved").lift(KEYPOINTS, CONFIDENCE, OTHER)
    assert_same(lifted, tensorflow(tmp_path / "halved"))


def damage(path, kind):
    arrays = trained_models.read(path)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "a bit":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif kind == "objects":
        np.savez(path, **arrays | {"bias_0": np.array([{}], object)})
    else:
        first = arrays["kernel_0"]
        others = {
            "infinite": {"bias_0": np.full_like(arrays["bias_0"], np.inf)},
            "text": {"bias_0": np.full(arrays["bias_0"].shape, "0")},
            "other joints": {"kernel_0": first[2:]},
            "a layer less": {"kernel_1": first[:3]},
        }
        np.savez(path, **arrays | others[kind])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cut", "`file` must be a NumPy archive of a network's layers. Received: BadZipFile"),
        ("a bit", "`file` must be a NumPy archive"),
        ("objects", "`file` must be a NumPy archive .* allow_pickle=False"),
        ("infinite", "`bias_0` must hold finite numbers"),
        ("text", "`bias_0` must hold finite numbers"),
        ("other joints", "Received: no layer 0 that takes 34 numbers"),
        ("a layer less", "Received: no layer 1 that takes 16 numbers"),
    ],
)
def test_a_damaged_file_is_refused_by_name(folder, tmp_path, kind, message):
    path = shutil.copytree(folder, tmp_path / "copy")
    damage(file(path), kind)
    with pytest.raises(trained_models.ModelFileError, match=message) as caught:
        inference.load_model(path)
    assert str(caught.value).startswith(f"{file(path)}: ")


def test_files_of_other_networks_are_refused(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "copy")
    shutil.copy(file(path, "root_network"), file(path))
    with pytest.raises(
        trained_models.ModelFileError, match=r"npz: `file` must end in 51 num.*: 3\."
    ):
        inference.load_model(path)


def test_a_description_of_no_networks_is_refused(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "copy") / trained_models.DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": ["paper"]}))
    with pytest.raises(
        trained_models.ModelFileError, match=r"model\.json: `model` must be as training"
    ):
        inference.load_model(tmp_path / "copy")


def test_a_process_that_was_forked_off_lifts_too(folder):
    model = inference.load_model(folder)
    parts = [(KEYPOINTS[index], CONFIDENCE[index], OTHER) for index in (0, slice(None))]
    expected = [model.lift(*part).pose_camera for part in parts]

    def lift_again():
        for part, pose_camera in zip(parts, expected, strict=True):
            np.testing.assert_array_equal(model.lift(*part).pose_camera, pose_camera)

    forked = multiprocessing.get_context("fork").Process(target=lift_again, daemon=True)
    forked.start()
    forked.join(timeout=30)
    assert forked.exitcode == 0
