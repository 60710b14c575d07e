"""The SavedModel: plain TensorFlow operations, a few signatures, nothing of Keras."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import model_pb2, prediction_log_pb2

from keras_mvlift import configs, errors, inference, skeletons
from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.export import compact
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.networks import temporal
from keras_mvlift.serving import clients, grpc_client
from keras_mvlift.training import lifters, uncertainty

SIGNATURES = ("serving_default", "lift_camera", "lift_world", "serving_examples")

Tensors = dict[str, tf.Tensor]
Pair = tuple[tf.Tensor, tf.Tensor]

_NUM_JOINTS = skeletons.H36M_17.num_joints
_KEYPOINTS = tf.TensorSpec([None, _NUM_JOINTS, 2], tf.float32, "keypoints_2d")
_CONFIDENCE = tf.TensorSpec([None, _NUM_JOINTS], tf.float32, "confidence")
_INTRINSICS = tf.TensorSpec([None, 3, 3], tf.float32, "intrinsics")
_ROTATION = tf.TensorSpec([None, 3, 3], tf.float32, "rotation")
_CENTER = tf.TensorSpec([None, 3], tf.float32, "center")


class ServingModule(tf.Module):
    """The two networks behind the signatures `SIGNATURES`.

    These take `keypoints_2d` `[B, 17, 2]`, pixels, without lens distortion, `confidence` `[B, 17]`,
    0 for a joint that was not seen, and of the cameras `intrinsics` `[B, 3, 3]`, pixels, `rotation`
    `[B, 3, 3]`, camera from world, and `center` `[B, 3]`, meters, world frame; and they return
    `root_relative_pose` `[B, 17, 3]`, `root_position` `[B, 3]` and their sum `pose_camera`, meters,
    camera frame.

    Args:
        lifter: The trained model.
        intrinsics: `[3, 3]`, pixels, taken for a camera that a request does not describe.
    """

    def __init__(self, lifter: lifters.Model, intrinsics: np.ndarray):
        super().__init__()
        is_folded = isinstance(lifter.lifting_network, compact.FoldedResidual)
        networks = lifter if is_folded else compact.fold(lifter)
        self._lift = networks.lift
        if lifter.uncertainty is not None:
            self.joint_uncertainty = uncertainty_signature(lifter.uncertainty)
        self._intrinsics = tf.constant(intrinsics, tf.float32)
        # The variables alone: tracking the Keras models would save their layers' own functions.
        self.folded = {
            "lifting_network": list(networks.lifting_network.weights),
            "root_network": list(networks.root_network.weights),
        }
        if lifter.uncertainty is not None:
            self.variables_to_save = lifter.uncertainty.network.variables

    @tf.function(input_signature=[_KEYPOINTS, _CONFIDENCE])
    def serving_default(self, keypoints_2d: tf.Tensor, confidence: tf.Tensor) -> Tensors:
        """Lifts poses seen by a camera like those of training, root-relative ones alone."""
        keypoints_2d = check_shape("keypoints_2d", keypoints_2d, None, _NUM_JOINTS, 2)
        batch = tf.shape(keypoints_2d)[0]
        intrinsics = tf.broadcast_to(self._intrinsics, [batch, 3, 3])
        lifted = self.lift_camera(keypoints_2d, confidence, intrinsics)
        return {"root_relative_pose": lifted["root_relative_pose"]}

    @tf.function(input_signature=[_KEYPOINTS, _CONFIDENCE, _INTRINSICS])
    def lift_camera(
        self, keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor
    ) -> Tensors:
        """Lifts poses seen by known cameras."""
        keypoints_2d, confidence = check_keypoints(keypoints_2d, confidence, None)
        intrinsics, keypoints_2d = check_camera(intrinsics, keypoints_2d, None)
        batch = tf.shape(keypoints_2d)[0]
        camera = cameras.Camera(
            intrinsics, rotation=tf.eye(3, batch_shape=[batch]), center=tf.zeros([batch, 3])
        )
        return _with_sum(*self._lift(views.View(keypoints_2d, confidence, camera)))

    @tf.function(input_signature=[_KEYPOINTS, _CONFIDENCE, _INTRINSICS, _ROTATION, _CENTER])
    def lift_world(
        self,
        keypoints_2d: tf.Tensor,
        confidence: tf.Tensor,
        intrinsics: tf.Tensor,
        rotation: tf.Tensor,
        center: tf.Tensor,
    ) -> Tensors:
        """Lifts poses seen by cameras whose places are known, to `pose_world` `[B, 17, 3]`, too."""
        rotation, center = check_place(rotation, center, keypoints_2d)
        lifted = self.lift_camera(keypoints_2d, confidence, intrinsics)
        camera = cameras.Camera(intrinsics, rotation, center)
        return lifted | {"pose_world": cameras.world_from_camera(lifted["pose_camera"], camera)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serving_examples(self, serialized: tf.Tensor) -> Tensors:
        """Lifts serialized `tf.Example` records of single views, `[B]`.

        They have features `keypoints_2d`, `confidence` and `intrinsics`; `root_relative_pose` comes
        flattened to `[B, 51]`, meters, camera axes.
        """
        view = tfrecords.decode_views(serialized)
        lifted = self.lift_camera(view.keypoints_2d, view.confidence, view.camera.intrinsics)
        flat = tf.reshape(lifted["root_relative_pose"], [-1, 3 * _NUM_JOINTS])
        return {"root_relative_pose": flat}


def save(
    lifter: lifters.Model,
    description: dict[str, Any],
    folder: pathlib.Path,
    *,
    half_precision: bool = False,
) -> None:
    """Writes a SavedModel with what `lifters.load` and `load_model` read beside it.

    Args:
        lifter: The trained model.
        description: With `"model"`, `"rig_distance"`, `"intrinsics"`, `[3, 3]` in pixels, and, if
            it is so, `"is_mirrored"`: that it was trained on mirrored people, too.
        folder: The SavedModel's folder.
        half_precision: Whether its weights are rounded to 16 bits, and those that `lifters.load`
            reads left out: a model of single frames to pass on, in a quarter of the space.

    Raises:
        ValueError: If `half_precision` is asked for, and the model sees windows or predicts
            uncertainties.
    """
    config = configs.ModelConfig(**description["model"])
    window = lifters.window_of(config)
    notes = {} if window else {"folded": compact.notes(lifter, config.network_input)}
    if half_precision:
        lifter = compact.halved(lifter)
    make, names = (ClipServingModule, CLIP_SIGNATURES) if window else (ServingModule, SIGNATURES)
    module = make(lifter, np.asarray(description["intrinsics"]))
    more = (UNCERTAINTY_SIGNATURE,) if lifter.uncertainty is not None else ()
    signatures = {name: getattr(module, name) for name in (*names, *more)}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    write_warm_up(folder, num_frames=window.num_frames if window else 1)
    skeleton, beside = skeletons.H36M_17, folder / lifters.FOLDER
    about = {"is_mirrored": False} | description | notes
    about |= {"skeleton": skeleton.name, "joints": skeleton.joints, "parents": skeleton.parents}
    if window:
        frames = {"num_frames": window.num_frames, "is_causal": window.is_causal}
        about["window"] = frames | {"frame_step": window.step}
    if half_precision:
        lifters.save_description(about, beside)
    else:
        lifters.save(lifter, about, beside)
    if window:
        for network in (lifter.lifting_network, lifter.root_network):
            np.savez(beside / f"{network.name}.npz", **compact.fold_temporal(network))
    else:
        scales = lifter.uncertainty.network if lifter.uncertainty is not None else None
        unsure = {} if scales is None else {scales.name: compact.fold_layers(scales)}
        compact.save_networks(module.folded | unsure, beside)


CLIP_SIGNATURES = ("serving_default", "lift_window", "lift_clip", "root_position")
_CLIP = (
    tf.TensorSpec([None, None, _NUM_JOINTS, 2], tf.float32, "keypoints_2d"),
    tf.TensorSpec([None, None, _NUM_JOINTS], tf.float32, "confidence"),
)
_CLIP_INTRINSICS = tf.TensorSpec([None, None, 3, 3], tf.float32, "intrinsics")
_OUTPUTS = tf.TensorSpec([None, 3], tf.float32, "outputs")
_RAYS = tf.TensorSpec([None, _NUM_JOINTS, 2], tf.float32, "rays")


class ClipServingModule(tf.Module):
    """Two temporal networks behind the signatures `CLIP_SIGNATURES`.

    These take and return what those of `ServingModule` do, of `T` frames each; so are the
    arguments. Frames are as far apart as those of a window in training. A frame in which nobody is
    seen repeats the one before; frames before anybody is seen repeat the first in which somebody
    is.
    """

    def __init__(self, lifter: lifters.Model, intrinsics: np.ndarray):
        super().__init__()
        networks = [temporal.dilated(x) for x in (lifter.lifting_network, lifter.root_network)]
        self._lift_window: Any = lifter.lift
        self._networks = lambda rays: [network(rays, training=False) for network in networks]
        self._root_head = lambda *inputs: lifter.root_head(inputs)
        self._has_free_root = lifter.recipe.has_free_root
        is_causal = temporal.is_causal(lifter.lifting_network)
        self._num_frames = lifter.lifting_network.input_shape[1]
        self._lifted_frame = self._num_frames - 1 if is_causal else self._num_frames // 2
        self._intrinsics = tf.constant(intrinsics, tf.float32)
        # The variables alone: tracking the Keras models would save their layers' own functions.
        self.variables_to_save = lifters.weights_of(lifter)

    @tf.function(input_signature=_CLIP)
    def serving_default(self, keypoints_2d: tf.Tensor, confidence: tf.Tensor) -> Tensors:
        """Lifts one frame of each window, seen by a camera like those of training."""
        axes = (None, None, _NUM_JOINTS, 2)
        keypoints_2d = check_shape("keypoints_2d", keypoints_2d, *axes)
        batch = tf.shape(keypoints_2d)[0]
        intrinsics = tf.broadcast_to(self._intrinsics, [batch, 3, 3])
        lifted = self.lift_window(keypoints_2d, confidence, intrinsics)
        return {"root_relative_pose": lifted["root_relative_pose"]}

    @tf.function(input_signature=[*_CLIP, _INTRINSICS])
    def lift_window(
        self, keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor
    ) -> Tensors:
        """Lifts one frame of each window, its middle, or its last by a causal network.

        The intrinsics are `[B, 3, 3]`, of the window, and so is what is returned of one frame.
        """
        keypoints_2d, confidence = check_keypoints(keypoints_2d, confidence, None, None)
        intrinsics, keypoints_2d = check_camera(intrinsics, keypoints_2d, None)
        shape = tf.shape(keypoints_2d)
        rule = f"`T` must be {self._num_frames}, the frames of a window."
        tf.debugging.assert_equal(shape[1], self._num_frames, rule)
        each = tf.broadcast_to(intrinsics[:, tf.newaxis], [shape[0], shape[1], 3, 3])
        rays, confidence = _seen_rays(keypoints_2d, confidence, each)
        rays = tf.ensure_shape(rays, [None, self._num_frames, _NUM_JOINTS, 2])
        own = self._lifted_frame
        lifted = self._lift_window(_SeenWindow(rays[:, own], confidence[:, own], rays))
        return _with_sum(*lifted)

    @tf.function(input_signature=[*_CLIP, _CLIP_INTRINSICS])
    def lift_clip(
        self, keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor
    ) -> Tensors:
        """Lifts every frame of each clip, of one or more; the intrinsics are `[B, T, 3, 3]`."""
        keypoints_2d, confidence = check_keypoints(keypoints_2d, confidence, None, None)
        intrinsics, keypoints_2d = check_camera(intrinsics, keypoints_2d, None, None)
        rule = "`T` must be 1 or more, the frames of a clip."
        tf.debugging.assert_positive(tf.shape(keypoints_2d)[1], rule)
        rays, confidence = _seen_rays(keypoints_2d, confidence, intrinsics)
        batch, num_frames = tf.unstack(tf.shape(rays)[:2])
        outputs, root_outputs = self._networks(rays)
        pose = tf.reshape(outputs, [batch, num_frames, _NUM_JOINTS, 3])
        predicted = self._root_head(
            tf.reshape(root_outputs, [-1, 3]), tf.reshape(rays, [-1, _NUM_JOINTS, 2])
        )
        root_position = tf.reshape(predicted, [batch, num_frames, 3])
        root_joint = pose[:, :, skeletons.ROOT]
        if self._has_free_root:
            root_position += root_joint
        pose -= root_joint[:, :, tf.newaxis]
        found = triangulation.root_in_view(pose, rays, confidence, root_position)
        return _with_sum(pose, found)

    @tf.function(input_signature=[_OUTPUTS, _RAYS])
    def root_position(self, outputs: tf.Tensor, rays: tf.Tensor) -> Tensors:
        """Computes the predicted root `[B, 3]`, meters, camera frame, as streaming needs it.

        It is of the root network's outputs `[B, 3]` and the lifted frame's rays `[B, 17, 2]`. The
        root joint of a pose lies off it where the description says `has_free_root`.
        """
        outputs = check_shape("outputs", outputs, None, 3)
        rays = check_shape("rays", rays, None, _NUM_JOINTS, 2)
        return {"root_position": self._root_head(outputs, rays)}


class _SeenWindow(NamedTuple):
    """What a lifter reads of a `WindowedView`."""

    rays: tf.Tensor
    confidence: tf.Tensor
    window_rays: tf.Tensor


def _seen_rays(keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor) -> Pair:
    """Returns viewing rays `[B, T, J, 2]` and confidences, frames without anybody filled."""
    is_seen = confidence > 0
    rays = tf.where(is_seen[..., tf.newaxis], cameras.rays(keypoints_2d, intrinsics), 0.0)
    # Where the count of frames with somebody last rose is the last of them.
    count = tf.cumsum(tf.cast(tf.reduce_any(is_seen, axis=-1), tf.int32), axis=1)
    frame = tf.searchsorted(count, tf.maximum(count, 1))
    frame = tf.minimum(frame, tf.shape(rays)[1] - 1)
    return tuple(tf.gather(value, frame, batch_dims=1) for value in (rays, confidence))


def _with_sum(pose: tf.Tensor, root_position: tf.Tensor) -> Tensors:
    return {
        "root_relative_pose": pose,
        "root_position": root_position,
        "pose_camera": pose + root_position[..., tf.newaxis, :],
    }


UNCERTAINTY_SIGNATURE = "joint_uncertainty"


def uncertainty_signature(
    uncertainty: uncertainty.JointUncertainty,
) -> tf.types.experimental.GenericFunction:
    """Makes the signature of what predicts, to `joint_uncertainty` `[B, 17]`, meters."""

    @tf.function(input_signature=[_KEYPOINTS, _CONFIDENCE, _INTRINSICS])
    def predict(keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor) -> Tensors:
        keypoints_2d, confidence = check_keypoints(keypoints_2d, confidence, None)
        intrinsics, keypoints_2d = check_camera(intrinsics, keypoints_2d, None)
        # Where the camera stands is not looked at.
        camera = cameras.Camera(intrinsics, intrinsics, intrinsics[:, 0])
        return {UNCERTAINTY_SIGNATURE: uncertainty(views.View(keypoints_2d, confidence, camera))}

    return predict


# A server feeds whatever it was sent, of any shape. Without these checks a matrix of another shape
# would be read as the one that is asked for, one camera would be taken for everybody, and a value
# that is not a number would come back as poses that are none.

# Of single precision and of calibrations that were written with few decimals.
_ROTATION_TOLERANCE = 1e-2


def check_shape(name: str, value: tf.Tensor, *axes: int | None) -> tf.Tensor:
    """Refuses another shape than `axes`, of which those that are None have any length.

    A tensor's own shape is what the signature promises; only this operation looks at what came.
    """
    return tf.ensure_shape(value, axes, name=f"{name}_must_have_the_stated_shape")


def check_keypoints(keypoints_2d: tf.Tensor, confidence: tf.Tensor, *axes: None) -> Pair:
    """Refuses 2D joints `[*axes, 17, 2]`, pixels, that are none; confidence is `[*axes, 17]`.

    Confidence lies in [0, 1]; where it is above 0 joints are not infinite. Leading axes are None
    each.

    Returns:
        Both, with confidence 0 where a joint is at no place, as `skeletons.is_place` has it.
    """
    keypoints_2d = check_shape("keypoints_2d", keypoints_2d, *axes, _NUM_JOINTS, 2)
    confidence = check_shape("confidence", confidence, *axes, _NUM_JOINTS)
    confidence, keypoints_2d = _together("confidence", confidence, keypoints_2d, len(axes))
    # Not axis by axis against a broadcast confidence, which takes ten times as long.
    x, y = keypoints_2d[..., 0], keypoints_2d[..., 1]
    # Not as the negation of a comparison, which optimized graphs turn round: NaN would not pass.
    is_near_or_nan = (tf.maximum(tf.abs(x), tf.abs(y)) <= skeletons.MOST_PX) | (x + y != x + y)
    are_finite = tf.reduce_all(is_near_or_nan | (confidence <= 0))
    is_place = _is_finite(x + y) & ((x != 0) | (y != 0)) & ((x != -1) | (y != -1))
    confidence = tf.where(is_place, confidence, 0.0)
    in_range = tf.reduce_all((confidence >= 0) & (confidence <= 1))
    share = "`confidence` must lie in [0, 1]. Received: a value that does not."
    near = f"`keypoints_2d` must be finite, within {skeletons.MOST_PX} pixels, or NaN where not "
    near += "seen. Received: a value farther off."
    return _require((keypoints_2d, confidence), (in_range, share), (are_finite, near))


def check_camera(intrinsics: tf.Tensor, keypoints_2d: tf.Tensor, *axes: None) -> Pair:
    """Refuses intrinsics `[*axes, 3, 3]` that are none; returns them and keypoints as they came.

    They must have positive focal lengths, no skew and 0, 0, 1 as last row.
    """
    intrinsics = check_shape("intrinsics", intrinsics, *axes, 3, 3)
    intrinsics, keypoints_2d = _together("intrinsics", intrinsics, keypoints_2d, len(axes))
    focal = tf.linalg.diag_part(intrinsics)[..., :2]
    skew = tf.maximum(tf.abs(intrinsics[..., 0, 1]), tf.abs(intrinsics[..., 1, 0]))
    is_camera = (
        tf.reduce_all(_is_finite(intrinsics))
        & tf.reduce_all(focal > 0)
        & tf.reduce_all(skew <= inference.MOST_SKEW * focal[..., 0])
        & tf.reduce_all(tf.equal(intrinsics[..., 2, :], [0.0, 0.0, 1.0]))
    )
    rule = "be finite, with positive focal lengths, without skew and with 0, 0, 1 as last row"
    told = f"`intrinsics` must {rule}. Received: a matrix that is not."
    return _require((intrinsics, keypoints_2d), (is_camera, told))


def check_place(rotation: tf.Tensor, center: tf.Tensor, keypoints_2d: tf.Tensor) -> Pair:
    """Refuses what is no rotation `[B, 3, 3]`, to a hundredth, and no finite center `[B, 3]`."""
    rotation = check_shape("rotation", rotation, None, 3, 3)
    center = check_shape("center", center, None, 3)
    rotation, _ = _together("rotation", rotation, keypoints_2d, 1)
    center, _ = _together("center", center, keypoints_2d, 1)
    off = tf.abs(tf.matmul(rotation, rotation, transpose_a=True) - tf.eye(3))
    # The third axis is the cross product of the others; a mirror has its opposite.
    third = cameras.cross(rotation[:, 0], rotation[:, 1])
    is_turn = tf.reduce_all(off < _ROTATION_TOLERANCE) & tf.reduce_all(
        tf.reduce_sum(third * rotation[:, 2], axis=-1) > 0
    )
    turn = "`rotation` must be a rotation, camera from world. Received: a matrix that is none."
    place = "`center` must be finite, meters. Received: NaN or infinity."
    is_place = tf.reduce_all(_is_finite(center))
    return _require((rotation, center), (is_turn, turn), (is_place, place))


def _together(name: str, value: tf.Tensor, keypoints_2d: tf.Tensor, num_axes: int) -> Pair:
    """Refuses a value that has not the leading axes of the keypoints."""
    axes, others = tf.shape(value)[:num_axes], tf.shape(keypoints_2d)[:num_axes]
    told = f"`{name}` must be of as many views as `keypoints_2d`. Received, of either:"
    is_same = tf.reduce_all(tf.equal(axes, others))
    return _require((value, keypoints_2d), (is_same, told, axes, others))


def _is_finite(value: tf.Tensor) -> tf.Tensor:
    # False for NaN, too; operations that the formats of others have.
    return tf.abs(value) < float("inf")


def _require(values: Pair, *rules: tuple[tf.Tensor, ...]) -> Pair:
    """Returns the values once every rule holds: a condition and what is told where it does not."""
    # Not `tf.debugging.Assert`, which hides the operation in a branch.
    checks = [
        tf.raw_ops.Assert(condition=holds, data=[tf.convert_to_tensor(part) for part in told])
        for holds, *told in rules
    ]
    with tf.control_dependencies(checks):
        first, second = (tf.identity(value) for value in values)
    return first, second


WARM_UP_FILE = pathlib.PurePath("assets.extra", "tf_serving_warmup_requests")
"""Where TensorFlow Serving looks, below a SavedModel's folder."""

BATCH_SIZES = (1, 64)
"""One person, whom latency matters to, and a batch; other sizes need nothing that these do not."""

# A person in the air, spread over the middle of a full HD image; each frame a pixel further.
_MIDDLE, _SPREAD = np.array([960.0, 540.0]), np.array([100.0, 350.0])
_FOCAL = 1100.0
_FULL_HD = np.array([[_FOCAL, 0, _MIDDLE[0]], [0, _FOCAL, _MIDDLE[1]], [0, 0, 1]])


def write_warm_up(folder: pathlib.Path, num_frames: int = 1) -> None:
    """Writes requests for every signature of a SavedModel into its folder, as `WARM_UP_FILE`.

    Clips in them have `num_frames` frames; of a model of windows, those of a window.

    Raises:
        ValueError: If a signature takes text that is no record of a view.
    """
    path = folder / WARM_UP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, signature in sorted(_signatures(folder).items()):
            for batch_size in BATCH_SIZES:
                spec = model_pb2.ModelSpec(name=clients.DEFAULT_MODEL, signature_name=name)
                inputs = {
                    key: _value(key, tensor, batch_size, num_frames)
                    for key, tensor in signature.inputs.items()
                }
                request = grpc_client.encode(spec, inputs)
                log = prediction_log_pb2.PredictLog(request=request)
                told = prediction_log_pb2.PredictionLog(predict_log=log)
                writer.write(told.SerializeToString())


def _signatures(folder: pathlib.Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    found = saved.meta_graphs[0].signature_def
    # What initializes the model has a name between underscores, and is no request.
    return {name: signature for name, signature in found.items() if not name.startswith("__")}


def _value(
    name: str, tensor: meta_graph_pb2.TensorInfo, batch_size: int, num_frames: int
) -> np.ndarray:
    """Makes the value of an input, `[batch_size, ...]`."""
    # The axes of unknown length are the batch and, behind it, the frames.
    axes = [axis.size for axis in tensor.tensor_shape.dim]
    shape = [batch_size, *(num_frames if axis < 0 else axis for axis in axes[1:])]
    if tensor.dtype == types_pb2.DT_STRING:
        errors.require(name == "examples", "signature", "take records as `examples`", f"`{name}`")
        return _records(batch_size)
    return _VALUES.get(name, np.zeros)(shape).astype(np.float32)


def _person(shape: Sequence[int]) -> np.ndarray:
    # Evenly spread over the circle by the golden angle, with no two joints at one place.
    joint = np.arange(shape[-2])
    angle = joint * np.pi * (3 - np.sqrt(5))
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * np.sqrt(joint / shape[-2])[:, None]
    frame = np.arange(np.prod(shape[:-2])).reshape(*shape[:-2], 1, 1)
    return _MIDDLE + _SPREAD * circle + frame


_VALUES: dict[str, Callable[[Sequence[int]], np.ndarray]] = {
    "keypoints_2d": _person,
    "confidence": np.ones,
    "intrinsics": lambda shape: np.broadcast_to(_FULL_HD, shape),
    "rotation": lambda shape: np.broadcast_to(np.eye(3), shape),
    "rays": lambda shape: (_person(shape) - _MIDDLE) / _FOCAL,
}


def _records(batch_size: int) -> np.ndarray:
    columns = {
        spec.name: _VALUES.get(spec.name, np.zeros)([batch_size, *spec.shape[1:]])
        for spec in (_KEYPOINTS, _CONFIDENCE, _INTRINSICS, _ROTATION, _CENTER)
    }
    return np.array(tfrecords.encode(columns), object)
