import dataclasses
import types
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components import trainers
from components.example_gen import executor
from keras_mvlift import configs, inference
from keras_mvlift.datasets import tfrecords
from keras_mvlift.training import lifters, objectives
from tests import tiny_studio

TINY: dict[str, Any] = tiny_studio.TINY | {"network_input": "centered"}
MODEL = configs.ModelConfig(**TINY)
PRETRAIN = configs.PretrainConfig(num_epochs=2, batch_size=32)
FINETUNE = configs.FinetuneConfig(num_epochs=1, batch_size=32, learning_rate=1e-6)


@pytest.fixture(scope="module")
def examples(studio_records):
    return studio_records["examples"].uri


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "half_precision"])
def start(request, tmp_path_factory):
    """A model to start from, trained a while, mirrored."""
    folder = tmp_path_factory.mktemp("start") / "1"
    lifter = tiny_studio.lifter(network_input="centered")
    tiny_studio.stand(lifter)
    tiny_studio.save(lifter, folder, request.param, is_mirrored=True, network_input="centered")
    return folder


@pytest.fixture(scope="module")
def train(examples, tmp_path_factory):
    """Runs a stage as TFX's Trainer does, on records without a label; returns the SavedModel."""

    def run(stage, base_model=None, start_from=""):
        root = tmp_path_factory.mktemp("trainer")
        trainers.run_fn(
            types.SimpleNamespace(
                custom_config=trainers.custom_config(
                    MODEL, stage, str(root / "checkpoints"), "abc", start_from=str(start_from)
                ),
                train_files=[f"{executor.split_folder(examples, executor.PAIR_SPLITS[0])}/*"],
                eval_files=[f"{executor.split_folder(examples, executor.PAIR_SPLITS[1])}/*"],
                base_model=base_model and str(base_model),
                serving_model_dir=str(root / "Format-Serving"),
                model_run_dir=str(root / "run"),
            )
        )
        return root / "Format-Serving"

    return run


@pytest.fixture(scope="module")
def pretrained(train, start):
    return train(PRETRAIN, start_from=start)


def lifted(folder):
    """Lifts a batch of views."""
    view = tiny_studio.pair(tiny_studio.prepare(tiny_studio.film()).train_pairs).source
    return inference.load_model(folder).lift(
        view.keypoints_2d.numpy(), view.confidence.numpy(), view.camera.intrinsics.numpy()
    )


def test_the_first_stage_hands_on_the_weights_of_the_start(start, pretrained):
    one, other = lifted(start), lifted(pretrained)
    assert np.ptp(one.pose_camera) > 0.5
    np.testing.assert_allclose(other.root_relative_pose, one.root_relative_pose, atol=1e-5)
    if (start / lifters.WEIGHTS).is_file():
        same = [
            tiny_studio.weights(
                lifters.load(folder / lifters.FOLDER, objectives.TransformReprojection())[0]
            )
            for folder in (start, pretrained)
        ]
        assert tiny_studio.same(*same)


def test_views_that_set_batch_norms_come_without_a_label(examples):
    (path,) = tf.io.gfile.glob(f"{executor.split_folder(examples, executor.PAIR_SPLITS[0])}/*")[:1]
    record = next(iter(tf.data.TFRecordDataset(path, "GZIP"))).numpy()
    names = {*tf.train.Example.FromString(record).features.feature}
    fields = {"keypoints_2d", "confidence", "intrinsics", "rotation", "center"}
    sides = {f"{side}/{field}" for side in ("source", "target") for field in (*fields, "camera")}
    about = {"subject", "action", "clip", "frame", "baseline", "camera_confidence"}
    assert names - about <= sides, names
    seen = trainers._views([path])
    assert {*seen._fields} | {*seen.camera._fields} == {*fields, "camera"}
    assert seen.confidence.shape[0] == 2 * tfrecords.count([path])


def test_the_description_says_where_training_started(start, pretrained):
    about = inference.load_model(pretrained).description
    told = f"Training started from {start}."
    assert about["warm_start"] == {"model": str(start), "note": told}
    nothing = f"Nothing to pre-train: the weights are those of {start}."
    assert (about["pretrain"]["num_epochs"], about["pretrain"]["note"]) == (0, nothing)
    assert about["is_mirrored"] is True
    assert about["rig_distance"] == tiny_studio.RIG_DISTANCE
    assert about["intrinsics"] == tiny_studio.INTRINSICS.tolist()


def test_the_first_stage_goes_on_from_a_blessed_model_in_half_precision_too(train, start):
    going_on = train(dataclasses.replace(PRETRAIN, num_epochs=0), base_model=start)
    one, other = lifted(start), lifted(going_on)
    np.testing.assert_allclose(other.root_relative_pose, one.root_relative_pose, atol=1e-5)
    assert inference.load_model(going_on).description["warm_start"]["note"] == ""


def test_a_short_second_stage_does_not_forget_a_start_in_half_precision(train, tmp_path):
    lifter = tiny_studio.trained(**TINY)
    kernel = lifter.lifting_network.trainable_variables[-2]
    kernel.assign(tf.random.stateless_uniform(kernel.shape, [0, 0], -0.1, 0.1))
    tiny_studio.stand(lifter)
    tiny_studio.save(lifter, tmp_path / "1", True, network_input="centered")
    tuned = train(FINETUNE, base_model=train(PRETRAIN, start_from=tmp_path / "1"))
    one, other = lifted(tmp_path / "1").root_relative_pose, lifted(tuned).root_relative_pose
    # Meters. Batch norms that knew nothing of the rig's views would tear poses apart.
    assert np.abs(one - other).max() < 0.1 * one.std()
    assert inference.load_model(tuned).description["warm_start"]["model"] == str(tmp_path / "1")


def test_the_start_may_be_another_model_at_the_same_place(start, tmp_path):
    def digest(folder):
        return trainers.custom_config(MODEL, PRETRAIN, "", "", start_from=str(folder))[
            "start_digest"
        ]

    first = digest(start)
    assert digest(start) == first
    tiny_studio.save(tiny_studio.trained(**TINY), tmp_path / "1", network_input="centered")
    assert digest(tmp_path / "1") != first
