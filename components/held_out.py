"""Scores a model without labels, by the views that it did not lift from."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components import artifacts
from components import baselines as baselines_component
from components.example_gen import executor
from keras_mvlift import inference
from keras_mvlift.datasets import tfrecords as examples_module
from keras_mvlift.lifting import lift
from keras_mvlift.metrics import baselines, held_out_views
from keras_mvlift.training import held_out

SCORES = "held_out.json"
PREFIX = "held_out_"
NAMES = tuple(PREFIX + name for name in held_out_views.SCORE_NAMES)
"""What bounds may be set on; the lower the better."""

_TEST, _EVAL = "test", "eval"


@component
def HeldOutViews(
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[list[standard_artifacts.Examples]],
    test_examples: InputArtifact[list[standard_artifacts.Examples]],
    scores: OutputArtifact[artifacts.HeldOutScores],
    min_joints: Parameter[int],
    code_version: Parameter[str],
) -> None:
    """Lifts every view of the test instants, or of those held out, and compares it with others."""
    del code_version
    lifter = inference.load_model(path_utils.serving_model_path(model.uri))
    test, measured_on = unseen_views(examples, test_examples)
    found: dict[str, Any] = {}
    if test is not None:
        pose = lift.lift_test_views(lifter, test).root_relative_pose
        some, index = _some_instants(test)
        score = held_out_views.score_test_views(some, pose[index], min_joints=min_joints)
        about = {"num_instants": len(np.unique(some.instant)), "measured_on": measured_on}
        found = {**score, **about}
    (pathlib.Path(scores.uri) / SCORES).write_text(json.dumps(found, indent=2, sort_keys=True))


def unseen_views(
    examples: Sequence[types.Artifact], test_examples: Sequence[types.Artifact]
) -> tuple[baselines.TestViews | None, str]:
    """Chooses the views to score a model on, none of which it was trained on.

    Args:
        examples: Records to train on, and those held out.
        test_examples: Records of test views.

    Returns:
        The test views, if some show the same instant; else those of the held-out instants; None
        if there are neither. And the split that they are of.
    """
    test = baselines.read_test_views(baselines_component.patterns(test_examples, _TEST))
    if baselines.has_several_views(test):
        return test, _TEST
    dataset = executor.read_datasets(examples)
    if not dataset["counts"].get("held_out_instants"):
        return None, _EVAL
    files = baselines_component.patterns(examples, "eval_instants")
    return _read_instants(files, max(clip["num_views"] for clip in dataset["clips"])), _EVAL


def read(scores_uri: str) -> dict[str, Any]:
    """Reads what the component wrote; empty if no instant was seen by two cameras."""
    return json.loads((pathlib.Path(scores_uri) / SCORES).read_text())


def why(scores: Mapping[str, Any], bounds: Mapping[str, float]) -> list[str]:
    """Says which bounds on the score a model misses.

    Args:
        scores: What `read` gives.
        bounds: The most that bless, by metric; those of other metrics are passed over.

    Returns:
        A sentence for each bound that is missed, or on what could not be measured.
    """
    reasons = []
    for name in (name for name in NAMES if name in bounds):
        value = scores.get(name.removeprefix(PREFIX))
        if value is None:
            reasons.append(f"{name} was not computed: no instant was held out in two views.")
        elif not value <= bounds[name]:
            reasons.append(f"{name} {value:g} is not at most {bounds[name]:g}.")
    return reasons


def _read_instants(file_pattern: list[str], num_views: int) -> baselines.TestViews:
    """Reads whole instants as single views, of which nothing true is known."""
    files = tf.data.Dataset.list_files(file_pattern, shuffle=False)
    records = list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
    seen = examples_module.decode_instants(tf.constant(records), num_views)
    keys = {"clip": tf.string, "action": tf.string, "frame": tf.int64}
    features = {key: tf.io.FixedLenFeature((), dtype) for key, dtype in keys.items()}
    about = tf.io.parse_example(records, features)
    instant, camera = np.nonzero(np.any(seen.confidence, axis=-1))
    view = tf.nest.map_structure(lambda field: field.numpy()[instant, camera], seen)
    clip, action, frame = (about[key].numpy()[instant] for key in keys)
    return baselines.TestViews(
        view=view,
        reference_pose=np.full((*view.confidence.shape, 3), np.nan, np.float32),
        instant=instant,
        action=action.astype(str),
        camera=camera.astype(str),
        clip=clip.astype(str),
        frame=frame,
    )


def _some_instants(test: baselines.TestViews) -> tuple[baselines.TestViews, np.ndarray]:
    """Spreads over the instants as many as are enough; gives their views, and which they are."""
    instants = np.unique(test.instant)
    count = min(len(instants), held_out.MAX_RECORDS)
    kept = instants[np.linspace(0, len(instants) - 1, count).astype(int)]
    index = np.flatnonzero(np.isin(test.instant, kept))
    some = baselines.TestViews(*tf.nest.map_structure(lambda field: field[index], tuple(test)))
    return some._replace(instant=np.searchsorted(kept, some.instant)), index
