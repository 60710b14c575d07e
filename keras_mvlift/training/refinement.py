"""A trained model trained on by a rig's views, and held by what it said before of others.

All layers of the lifting network follow what the views of the rig triangulate, seen by its cameras
and by virtual ones. Alone that forgets people and cameras that the rig does not show. So half of
the views are of made-up people before other cameras, of whom the network is to say what it said at
first, which is known as distillation; and half of the way to the new weights is gone. No label is
looked at.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences, views
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import synthetic
from keras_mvlift.training import adaptation, lifters

Weighed = tuple[Sequence[adaptation.Fitted], float]
"""What is fitted, its `hidden` of `packed`, and its share of a batch in proportion; its parts count
alike."""

NUM_STEPS = 200
_BATCH_SIZE, _LEARNING_RATE = 512, 1e-4
# Square meters; keeps the norm's gradient finite at a joint that is right.
_SOFT = 1e-6
# Of a batch, in proportion: what the rig shows, and what the model knew before.
_OF_RIG, _OF_BEFORE = 1.0, 1.0
# Of the way from the old weights to the new ones.
_SHARE = 0.5
# Made-up people: rigs, the people before each, and the instants of each of their clips.
_NUM_RIGS, _NUM_PEOPLE, _NUM_INSTANTS, _STRIDE = 6, 4, 10, 6
_FED_AT_ONCE = 4096
_NUM_JOINTS = skeletons.H36M_17.num_joints


def refine(
    lifter: lifters.Model,
    instants: Sequence[sequences.Instants],
    num_steps: int = NUM_STEPS,
    seed: int = 0,
) -> None:
    """Trains a model of single frames on by what real cameras of a rig triangulate, by a seed."""
    sets = [(list(of_rig(instants, seed)), _OF_RIG), ([of_before(lifter, seed)], _OF_BEFORE)]
    variables = dense_variables(lifter)
    start = [variable.numpy() for variable in variables]
    train(lifter, sets, num_steps, seed, _BATCH_SIZE)
    for variable, value in zip(variables, start, strict=True):
        variable.assign(value + np.float32(_SHARE) * (variable.numpy() - value))


def of_rig(instants: Sequence[sequences.Instants], seed: int) -> Iterator[adaptation.Fitted]:
    """Returns what real cameras and as many virtual ones see, mirrored, too, with targets."""
    for part in adaptation.fed(instants, packed, seed):
        if len(part.fitted.hidden):
            yield part.fitted


def of_before(lifter: lifters.Model, seed: int) -> adaptation.Fitted:
    """Returns views of made-up people with what a model says of them now."""
    seen = []
    for number in range(_NUM_RIGS):
        studio = synthetic.Studio(
            num_subjects=_NUM_PEOPLE,
            num_frames=_NUM_INSTANTS * _STRIDE,
            rig="ring",
            num_cameras=6,
            seed=seed * _NUM_RIGS + number,
        )
        for clip in studio:
            frames = np.arange(0, clip.num_frames, _STRIDE)
            some = sequences.instants_of_sequence(clip, frames)
            seen.append(adaptation.flat(sequences.to_view(some)))
    rows, _ = packed(tf.nest.map_structure(lambda *fields: np.concatenate(fields), *seen))
    rows = rows[np.count_nonzero(rows[:, 2 * _NUM_JOINTS :], axis=1) >= adaptation.MIN_JOINTS]
    poses = [
        lifter(unpacked(tf.constant(rows[start : start + _FED_AT_ONCE]))).root_relative_pose
        for start in range(0, len(rows), _FED_AT_ONCE)
    ]
    trust = np.ones((len(rows), _NUM_JOINTS), np.float32)
    return adaptation.Fitted(rows, np.concatenate(poses), trust)


def train(
    lifter: lifters.Model, sets: Sequence[Weighed], num_steps: int, seed: int, batch_size: int
) -> None:
    """Trains the dense layers of a lifting network, with batch norms as they are, to fit `sets`."""
    optimizer = keras.optimizers.legacy.Adam(
        keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, num_steps)
    )
    variables = dense_variables(lifter)

    @tf.function(reduce_retracing=True)
    def step(rows: tf.Tensor, target: tf.Tensor, trust: tf.Tensor) -> tf.Tensor:
        seen = lifter.look(unpacked(rows), training=True)
        turned = target if seen.turn is None else tf.matmul(target, seen.turn, transpose_b=True)
        with tf.GradientTape() as tape:
            pose = tf.reshape(lifter.lifting_network(seen.joints, training=False), turned.shape)
            pose -= pose[:, skeletons.ROOT, tf.newaxis]
            missed = tf.sqrt(tf.reduce_sum(tf.square(pose - turned), axis=-1) + _SOFT)
            loss = tf.reduce_sum(trust * missed) / tf.reduce_sum(trust)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), 1.0)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    for batch in _batches(sets, num_steps, seed, batch_size):
        step(*batch)


def dense_variables(lifter: lifters.Model) -> list[tf.Variable]:
    """Returns what is trained: kernels and biases by turns."""
    layers = lifter.lifting_network.layers
    dense = [layer for layer in layers if isinstance(layer, keras.layers.Dense)]
    return [variable for layer in dense for variable in layer.trainable_variables]


def _batches(
    sets: Sequence[Weighed], num_steps: int, seed: int, batch_size: int
) -> Iterator[list[tf.Tensor]]:
    rng = np.random.default_rng(seed)
    parts = [(part, share / len(some)) for some, share in sets for part in some]
    shares = np.array([share for _, share in parts])
    for _ in range(num_steps):
        drawn = []
        counts = rng.multinomial(batch_size, shares / shares.sum())
        for (part, _), count in zip(parts, counts, strict=True):
            rows = rng.integers(0, len(part.hidden), count)
            # Detectors are not equally sure of themselves; recordings are to count alike.
            trust = part.trust[rows] / part.trust.mean()
            drawn.append((part.hidden[rows], part.target[rows], trust))
        yield [
            tf.constant(np.concatenate(fields), tf.float32) for fields in zip(*drawn, strict=True)
        ]


def packed(view: views.View) -> tuple[np.ndarray, np.ndarray]:
    """Returns rays and whether they were seen, `[N, 3 J]`, and the identity, `[N, 3, 3]`."""
    rays = np.asarray(view.rays, np.float32).reshape(len(view.confidence), -1)
    is_seen = np.asarray(view.confidence) > 0
    identity = np.broadcast_to(np.eye(3, dtype=np.float32), (len(rays), 3, 3))
    return np.hstack([rays, is_seen.astype(np.float32)]), identity


def unpacked(rows: tf.Tensor) -> views.View:
    """Returns what `packed` was given, as cameras of focal length 1 see it."""
    identity = tf.eye(3, batch_shape=tf.shape(rows)[:1])
    rays = tf.reshape(rows[:, : 2 * _NUM_JOINTS], [-1, _NUM_JOINTS, 2])
    camera = cameras.Camera(identity, identity, identity[0])
    return views.View(rays, rows[:, 2 * _NUM_JOINTS :], camera)
