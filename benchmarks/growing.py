"""Works that grow with one thing each: frames, cameras, joints, or the width of the networks."""

import math
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import tensorflow as tf

from benchmarks import training_steps
from components.example_gen import files
from keras_mvlift import configs, reprojection
from keras_mvlift.datasets import preparation, sequences, tfrecords, views
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.studio import synthetic
from keras_mvlift.training import batches, objectives

BATCH_SIZE = 1024
# Small networks, where it is not they that are measured.
WIDTH = 64
_FRAMES_OF_CLIP = 1000
_TIMES = 8


class Done(NamedTuple):
    """What a work came to.

    Attributes:
        units: How much was done.
        seconds: How long that took, without what it needs beforehand.
        kept: What its memory is divided by; the units, unless told otherwise.
    """

    units: float
    seconds: float
    kept: float


Job = Callable[[], Any]


def prepare_frames(folder: pathlib.Path, num_frames: int) -> Done:
    """Makes pairs of frames of four cameras, and writes them; units are pairs."""
    return _prepare(folder / f"frames-{num_frames}", num_frames, 4)


def prepare_cameras(folder: pathlib.Path, num_cameras: int) -> Done:
    """Makes pairs of 2,000 frames, and writes them; units are pairs."""
    return _prepare(folder / f"cameras-{num_cameras}", 2 * _FRAMES_OF_CLIP, num_cameras)


def train_frames(folder: pathlib.Path, num_frames: int) -> Done:
    """Reads what `prepare_frames` wrote and trains an epoch; units are pairs."""
    return _train(folder / f"frames-{num_frames}")


def train_cameras(folder: pathlib.Path, num_cameras: int) -> Done:
    """Reads what `prepare_cameras` wrote and trains an epoch; units are pairs."""
    return _train(folder / f"cameras-{num_cameras}")


def agree(folder: pathlib.Path, num_cameras: int) -> Done:
    """Finds what all views of instants agree on; units are views."""
    del folder
    num_rows = min(objectives.num_agreed_at_once(num_cameras), BATCH_SIZE)
    seen = tf.nest.map_structure(lambda field: field[:num_rows], _instants(num_cameras))
    found = tf.function(objectives.agreement_of)
    # However many instants there are, so many are in memory.
    return _timed(lambda: found(seen), num_rows * num_cameras)._replace(kept=1)


def compare(folder: pathlib.Path, num_cameras: int) -> Done:
    """Takes steps that compare a pose with all views of its instant; units are views."""
    del folder
    model = configs.ModelConfig(width=WIDTH)
    config = configs.FinetuneConfig(**configs.finetuning(model))
    seen = _instants(num_cameras)
    # What they agree on is found before training, and not measured here.
    shape = [BATCH_SIZE, seen.confidence.shape[-1]]
    agreed = objectives.Agreement(tf.zeros([*shape, 3]), tf.zeros(shape, tf.bool))
    batch = objectives.Instants(seen, agreed)
    take = training_steps.stepper(training_steps.compiled(model, config), batch)
    return _timed(take, BATCH_SIZE * num_cameras)


def geometry(folder: pathlib.Path, num_joints: int) -> Done:
    """Triangulates, projects and compares joints in four views; units are joints of a view."""
    del folder
    rig = _studio(4, 1, 1).camera
    camera = tf.nest.map_structure(
        lambda field: tf.repeat(tf.constant(field[np.newaxis], tf.float32), BATCH_SIZE, axis=0), rig
    )
    points = tf.random.stateless_uniform([BATCH_SIZE, num_joints, 3], [0, 0], -0.5, 0.5)
    confidence = tf.ones([BATCH_SIZE, 4, num_joints])

    @tf.function
    def compared() -> tf.Tensor:
        moved = cameras.camera_from_world(points[:, tf.newaxis], camera)
        keypoints_2d = cameras.project(moved, camera.intrinsics)
        seen = views.View(keypoints_2d, confidence, camera)
        found, _ = triangulation.triangulate(keypoints_2d, confidence, camera)
        again = cameras.camera_from_world(found[:, tf.newaxis], camera)
        return reprojection.error(again, seen, confidence, reprojection.norm)

    return _timed(compared, BATCH_SIZE * 4 * num_joints)


def records(folder: pathlib.Path, num_joints: int) -> Done:
    """Serializes and parses views of so many joints; units are their numbers."""
    del folder
    shapes = {"keypoints_2d": (num_joints, 2), "confidence": (num_joints,)}
    rng = np.random.default_rng(0)
    columns = {
        name: rng.normal(size=(16 * BATCH_SIZE, *shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    features = {name: tf.io.FixedLenFeature(shape, tf.float32) for name, shape in shapes.items()}

    def there_and_back() -> Any:
        return tf.io.parse_example(tfrecords.encode(columns), features)

    return _timed(there_and_back, 16 * BATCH_SIZE * 3 * num_joints)


def step(folder: pathlib.Path, width: int) -> Done:
    """Takes steps on pairs; units are millions of operations of dense layers, kept are weights."""
    del folder
    seen = _instants(2)
    source, target = (
        tf.nest.map_structure(lambda field, side=side: field[:, side], seen) for side in (0, 1)
    )
    model = configs.ModelConfig(recipe="paper", width=width)
    lifter = training_steps.compiled(model, configs.FinetuneConfig())
    take = training_steps.stepper(lifter, views.ViewPair(source, target))
    sizes = {rank: 0 for rank in (1, 2)}
    for weight in lifter.trainable_weights:
        sizes[weight.shape.rank] += weight.shape.num_elements()
    # Two views a pair; a product and a sum; forwards, and twice as many backwards.
    num_operations = 2 * BATCH_SIZE * 2 * 3 * sizes[2]
    return _timed(take, num_operations / 1e6)._replace(kept=sum(sizes.values()))


def _prepare(folder: pathlib.Path, num_frames: int, num_cameras: int) -> Done:
    num_clips = num_frames // _FRAMES_OF_CLIP
    studio = _studio(num_cameras, num_clips, _FRAMES_OF_CLIP)
    split, num_pairs, seconds = preparation.BySubject(test_subjects=()), 0, 0.0
    for clip in studio.clips():
        sequence = studio.read(clip)
        # The first clip of a process is prepared twice: what TensorFlow does once is not counted.
        for _ in range(1 if num_pairs else 2):
            start = time.perf_counter()
            prepared = preparation.prepare(sequence, split, configs.DataConfig())
            files.write(str(folder), f"{clip}.gz", prepared.train_pairs)
            last = time.perf_counter() - start
        seconds += last
        num_pairs += prepared.counts["train_pairs"]
    return Done(num_pairs, seconds, num_pairs)


def _train(folder: pathlib.Path) -> Done:
    start = time.perf_counter()
    pairs = cast(batches.Pairs, batches.read_pairs(str(folder / "*.gz"), math.inf))
    reading = time.perf_counter() - start
    model, config = configs.ModelConfig(recipe="paper", width=WIDTH), configs.FinetuneConfig()
    lifter: Any = training_steps.compiled(model, config)
    lifter.keep(pairs.views)
    rows, num_pairs = batches.load_pairs(pairs, BATCH_SIZE, seed=0), len(pairs.rows)
    lifter.fit(rows, steps_per_epoch=1, verbose=0)
    start = time.perf_counter()
    lifter.fit(rows, steps_per_epoch=num_pairs // BATCH_SIZE, verbose=0)
    return Done(num_pairs, reading + time.perf_counter() - start, num_pairs)


def _studio(num_cameras: int, num_clips: int, num_frames: int) -> synthetic.Studio:
    return synthetic.Studio(
        num_subjects=1,
        num_clips=num_clips,
        num_frames=num_frames,
        frame_rate=50.0,
        rig="ring",
        num_cameras=num_cameras,
    )


def _instants(num_cameras: int) -> views.View:
    """Returns a batch of instants, fields `[B, V, ...]`."""
    studio = _studio(num_cameras, 1, BATCH_SIZE)
    seen = sequences.instants_of_sequence(studio.read(studio.clips()[0]), np.arange(BATCH_SIZE))
    return tf.nest.map_structure(tf.constant, sequences.to_view(seen))


def _timed(job: Job, units: float) -> Done:
    """Takes the best of several, the first of which is not counted."""
    best = math.inf
    job()
    for _ in range(_TIMES):
        start = time.perf_counter()
        job()
        best = min(best, time.perf_counter() - start)
    return Done(units, best, units)
