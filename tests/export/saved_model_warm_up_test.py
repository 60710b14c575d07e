import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import inference
from keras_mvlift.export import saved_model
from tests import temporal_networks, tiny_studio
from tests.export import served_views

NUM_FRAMES = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "mvlift" / "1"
    tiny_studio.save(tiny_studio.trained(), folder)
    return folder


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips") / "1"
    temporal_networks.save(folder, is_causal=True)
    return folder


def arrays(request):
    return {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}


def signature_names(folder):
    return {*tf.saved_model.load(str(folder)).signatures}


def test_records_are_logs_of_requests_where_the_server_looks(folder):
    logs = served_views.logs_in(folder)
    assert {log.WhichOneof("log_type") for log in logs} == {"predict_log"}
    assert 0 < len(logs) <= 1000


@pytest.mark.parametrize("kind", ["folder", "clip_folder"])
def test_every_signature_is_warmed_up_by_every_batch_size(kind, request):
    folder = request.getfixturevalue(kind)
    warmed = {
        (each.model_spec.signature_name, len(next(iter(arrays(each).values()))))
        for each in served_views.requests_in(folder)
    }
    sizes = saved_model.BATCH_SIZES
    assert warmed == {(name, size) for name in signature_names(folder) for size in sizes}


@pytest.mark.parametrize("kind", ["folder", "clip_folder"])
def test_requests_are_of_people_and_windows_that_the_model_here_lifts(kind, request):
    folder = request.getfixturevalue(kind)
    model = inference.load_model(folder)
    wanted = "lift_clip" if isinstance(model, inference.ClipLifter) else "lift_camera"
    (found,) = [
        arrays(each)
        for each in served_views.requests_in(folder)
        if each.model_spec.signature_name == wanted
        and each.inputs["confidence"].tensor_shape.dim[0].size == 1
    ]
    pose = model.lift(found["keypoints_2d"], found["confidence"], found["intrinsics"])
    frames = (NUM_FRAMES,) if wanted == "lift_clip" else ()
    assert pose.pose_camera.shape == (1, *frames, 17, 3)
    assert np.isfinite(pose.pose_camera).all()
    camera = found["intrinsics"].reshape(-1, 3, 3)[0]
    np.testing.assert_array_equal(camera[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1])
    joints = found["keypoints_2d"].reshape(-1, 17, 2)[0]
    assert len(np.unique(joints, axis=0)) == 17
    assert ((joints > 0) & (joints < [1920, 1080])).all()


def test_text_that_is_no_record_is_refused(tmp_path):
    module = tf.Module()
    name = tf.TensorSpec([None], tf.string, "name")
    module.greet = tf.function(lambda name: {"greeting": name}, input_signature=[name])
    tf.saved_model.save(module, str(tmp_path), signatures={"greet": module.greet})
    with pytest.raises(ValueError, match=r"must take records as `examples`\. Received: `name`"):
        saved_model.write_warm_up(tmp_path)
