"""Using a trained model: NumPy is all it takes for one of single frames.

Such a model keeps its networks as NumPy arrays beside its SavedModel. TensorFlow is imported for
models of clips, and for those that were exported before there were such arrays.
"""

import collections
import dataclasses
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons, trained_models
from keras_mvlift.geometry import cameras, triangulation


@dataclasses.dataclass(frozen=True)
class LiftedPose:
    """What a single view says of a person.

    Attributes:
        joint_names: `J` names, in the order of the poses.
        root_relative_pose: `[..., J, 3]`, meters, pelvis at 0, camera axes: x right, y down,
            z away from the camera.
        root_position: `[..., 3]`, meters, camera frame; None without a camera.
        pose_camera: `[..., J, 3]`, meters, camera frame; None without a camera.
        joint_uncertainty: `[..., J]`, meters: how far off each joint is likely to be, infinite of a
            pose of fewer than `MIN_JOINTS` seen joints. A model that does not predict it tells it
            with `flip`, by how far the mirrored person differs; else None.
        reprojection_error: `[...]`, how far the pose, projected, lies off the joints that it is
            lifted from, as a share of the body's size in the image: the mean distance over seen
            joints, by the diagonal of their box. NaN where fewer than two are seen. Above
            `LARGE_REPROJECTION_ERROR` neither pose nor position can be relied on.
        is_sure: `[..., J]`, whether a joint is more than a guess: at least `MIN_JOINTS` joints were
            seen, this one or all its neighbors among them, and the reprojection error is not large.
    """

    joint_names: tuple[str, ...]
    root_relative_pose: np.ndarray
    root_position: np.ndarray | None = None
    pose_camera: np.ndarray | None = None
    joint_uncertainty: np.ndarray | None = None
    reprojection_error: np.ndarray | None = None
    is_sure: np.ndarray | None = None


View = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Checked keypoints `[..., J, 2]`, pixels, confidence `[..., J]` and intrinsics `[..., 3, 3]`."""

MIN_JOINTS = 6
"""Of fewer seen joints a pose is more guessed than seen."""
LARGE_REPROJECTION_ERROR = 0.05
"""As a share of the body's size. Of the shipped model 5 % of simulated views lie farther off, whose
poses are wrong by 123 mm in the mean, the others by 70; of its real views 1 to 2 %."""

# Meters: smaller poses are none.
_LEAST_STATURE = 1e-3


class Lifter:
    """A trained model.

    Attributes:
        path: The SavedModel's folder.
        joint_names: `J` names, in the order that `lift` expects and gives.
        parents: `J` indices of each joint's parent, -1 for the root.
        intrinsics: `[3, 3]`, pixels, what `lift` takes for a camera that is left out.
        description: All that training noted about the model.
        joint_mixes: By joint set `[J, J]`: lifted joints, as rows, times it lie where detectors of
            that set see them.
    """

    _signature = "lift_camera"
    _is_for_clips = False

    def __init__(self, path: pathlib.Path, description: dict[str, Any], is_trusted: bool = False):
        self.path, self._is_trusted = path, is_trusted
        self._process = os.getpid()
        self.description = description
        self.joint_names = tuple(description["joints"])
        self.parents = tuple(description["parents"])
        is_parent = np.arange(len(self.parents))[:, np.newaxis] == self.parents
        self._are_neighbors = is_parent | is_parent.T
        self.intrinsics = np.asarray(description["intrinsics"], np.float32)
        mixes = description.get(trained_models.JOINT_MIXES, {})
        self.joint_mixes = {name: np.asarray(mix, np.float32) for name, mix in mixes.items()}
        self._networks, self._model = self._load()

    def _load(self) -> tuple[trained_models.FrameLifter | None, Any]:
        """Returns the networks for NumPy, or where it does not do, TensorFlow's model."""
        given = self.path, self.description, self.intrinsics
        if (networks := trained_models.frame_lifter(*given)) is not None:
            return networks, None
        return None, trained_models.open_model(self.path, self._is_trusted)

    def lift(
        self,
        keypoints_2d: Any,
        confidence: Any = None,
        camera: Any = None,
        flip: bool = False,
        skeleton: str | None = None,
        height: Any = None,
        detected_as: str | None = None,
    ) -> LiftedPose:
        """Lifts 2D joints to 3D poses.

        Args:
            keypoints_2d: `[..., J, 2]`, pixels, without lens distortion; `[..., T, J, 2]`, the
                frames of clips, for a `ClipLifter`. A joint at NaN, (0, 0) or (-1, -1) was not
                seen.
            confidence: `[..., J]`, in [0, 1], 0 for a joint that was not seen; left out, every
                joint was. Any other joint counts, however unsure: detectors' below 0.3, which
                `keras-mvlift lift` leaves out of their files, are better given 0.
            camera: The intrinsics `[3, 3]` or `[..., 3, 3]`, pixels, or anything that has them
                as its attribute `intrinsics`. Left out, a camera like those of training is
                taken, with a warning, and no position is given.
            flip: Whether the mirrored person is lifted, too, and the mean of both given; for
                models that were trained on mirrored people.
            skeleton: The set in which the joints come, by its name in `skeletons.SKELETONS`, such
                as `"coco_17"`; left out, the model's own.
            height: How tall the people are, meters: a number, or `[...]` of the leading axes. Poses
                and positions are scaled alike until `skeletons.stature` says so: each pose, or by
                its median the whole of a `ClipLifter`'s clip, of which the number is `[...]`
                without the axis of frames.
            detected_as: The set that a detector saw, where its joints were converted before; left
                out, `skeleton`. Of sets in `joint_mixes` the poses are brought to.

        Returns:
            The poses, with the leading axes of `keypoints_2d`.

        Raises:
            ValueError: If a shape is wrong, a value is infinite, a confidence lies outside [0, 1]
                or coordinates are no pixels of such a camera, `flip` is asked of a model that saw
                nobody mirrored, or a height is none of a person's.
            RuntimeError: If TensorFlow is needed, and this process was forked off since it loaded
                the model.
        """
        errors.require(isinstance(flip, bool | np.bool_), "flip", "be True or False", repr(flip))
        if flip:
            _check_mirrored(self.description)
        if detected_as is not None:
            errors.require_known("detected_as", detected_as, skeletons.SKELETONS)
        view = self._checked(keypoints_2d, confidence, camera, skeleton, self._is_for_clips)
        pose, root_position, *apart = self._run_mirrored(*view) if flip else self._run(*view)
        mix = self.joint_mixes.get(detected_as or skeleton or "")
        if mix is not None:
            pose = mix @ pose
        if flip or mix is not None:
            rays = trained_models.seen_rays(*view)
            root_position = triangulation.root_in_view(pose, rays, view[1], root_position)
        lifted = self._judged(view, camera is not None, pose, root_position, *apart)
        if camera is not None:
            warn_of_misses(np.asarray(lifted.reprojection_error))
        return lifted if height is None else self._sized(lifted, height)

    def _checked(
        self, keypoints_2d: Any, confidence: Any, camera: Any, skeleton: str | None, is_clip: bool
    ) -> View:
        joints = (self.joint_names, skeleton, is_clip)
        checked, seen = skeletons.check_joints(keypoints_2d, confidence, *joints)
        intrinsics = check_intrinsics(camera, checked.shape[:-2], self.intrinsics)
        require_pixels(checked, seen, intrinsics)
        return checked, seen, intrinsics

    def _run_mirrored(self, *view: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the mean of what `_run` says of a view and of its mirror image.

        A view is mirrored about the column of its principal point, which mirrors the person before
        the camera; left and right joints change names. It also returns how far the two are apart,
        `[..., J]`, meters.
        """
        keypoints_2d, confidence, intrinsics = view
        order = list(skeletons.mirror_images(self.joint_names))
        pose, root_position = self._run(*view)
        mirrored = keypoints_2d[..., order, :].copy()
        mirrored[..., 0] = 2 * intrinsics[..., np.newaxis, 0, 2] - mirrored[..., 0]
        pose_mirrored, root_mirrored = self._run(mirrored, confidence[..., order], intrinsics)
        pose_mirrored = pose_mirrored[..., order, :] * _MIRROR_SIGNS
        apart = np.linalg.norm(pose - pose_mirrored, axis=-1)
        root_position = (root_position + root_mirrored * _MIRROR_SIGNS) / 2
        return (pose + pose_mirrored) / 2, root_position, apart

    def _judged(
        self, view: View, has_camera: bool, pose: np.ndarray, root_position: Any, apart: Any = None
    ) -> LiftedPose:
        """Puts together what is said of views, and how far it can be relied on."""
        pose_camera = pose + root_position[..., np.newaxis, :]
        missed = _reprojection_errors(pose_camera, *view)
        is_seen = view[1] > 0
        # More than a guess: seen, or all its neighbors are.
        is_told = is_seen | ~(~is_seen @ self._are_neighbors)
        uncertainty = self._uncertainty(*view)
        if uncertainty is None and apart is not None:
            given = pose, apart, missed, is_seen, is_told
            uncertainty = _mirror_uncertainty(*given, self.joint_names)
        is_enough = is_seen.sum(axis=-1, keepdims=True) >= MIN_JOINTS
        if uncertainty is not None:
            uncertainty = np.where(is_enough, uncertainty, np.float32(np.inf))
        is_good = ~(missed > LARGE_REPROJECTION_ERROR)[..., np.newaxis]
        return LiftedPose(
            self.joint_names,
            pose,
            root_position if has_camera else None,
            pose_camera if has_camera else None,
            joint_uncertainty=uncertainty,
            reprojection_error=missed,
            is_sure=is_told & is_enough & is_good,
        )

    def _sized(self, lifted: LiftedPose, height: Any) -> LiftedPose:
        """Makes people as tall as they are."""
        pose = lifted.root_relative_pose
        stature = skeletons.stature(pose, self.joint_names)
        if self._is_for_clips:
            stature = np.median(stature, axis=-1) if stature.size else stature.sum(axis=-1)
        scale = check_height(height, stature.shape) / np.maximum(stature, _LEAST_STATURE)
        if self._is_for_clips:
            scale = np.broadcast_to(scale[..., np.newaxis], pose.shape[:-2])
        lengths = ("root_relative_pose", "root_position", "pose_camera", "joint_uncertainty")
        scaled = {}
        for name in lengths:
            values = getattr(lifted, name)
            if values is not None:
                axes = (..., *[np.newaxis] * (values.ndim - scale.ndim))
                scaled[name] = (values * scale[axes]).astype(np.float32)
        return dataclasses.replace(lifted, **scaled)

    def _run(self, *view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns poses `[..., J, 3]`, root at 0, and root positions `[..., 3]`."""
        leading = view[1].shape[:-1]
        given = _batched((-1, *leading[len(leading) - self._is_for_clips :]), *view)
        if self._networks is not None:
            pose, root_position = self._networks.lift(*given.values())
        else:
            lifted = self._call(self._signature, given)
            pose, root_position = lifted["root_relative_pose"], lifted["root_position"]
        return pose.reshape(*leading, *pose.shape[-2:]), root_position.reshape(*leading, 3)

    def _uncertainty(self, *view: np.ndarray) -> np.ndarray | None:
        """Returns `[..., J]`, meters; None of a model that does not predict it."""
        given, found = _batched((-1,), *view), None
        if self._networks is not None:
            found = self._networks.uncertainty(*given.values())
        elif _UNCERTAINTY_SIGNATURE in self._model.signatures:
            found = self._call(_UNCERTAINTY_SIGNATURE, given)[_UNCERTAINTY_SIGNATURE]
        return None if found is None else found.reshape(view[1].shape)

    def _call(self, signature: str, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature of the loaded SavedModel."""
        if os.getpid() != self._process:
            raise RuntimeError(
                "`model` must be loaded in the process that lifts: TensorFlow hangs in one that is "
                "forked off later. Load it there, or start processes by spawn."
            )
        tf = trained_models.import_tensorflow()
        tensors = {name: tf.constant(value) for name, value in given.items()}
        outputs = self._model.signatures[signature](**tensors)
        return {name: value.numpy() for name, value in outputs.items()}


_UNCERTAINTY_SIGNATURE = "joint_uncertainty"


# What signatures take, and how many axes each has behind the leading ones.
_INPUTS = {"keypoints_2d": 2, "confidence": 1, "intrinsics": 2}


def _batched(batch: tuple[int, ...], *view: np.ndarray) -> dict[str, np.ndarray]:
    """Returns a view with the leading axes `batch`, by the names that signatures have for it."""
    return {
        name: values.reshape(*batch, *values.shape[-num_axes:])
        for (name, num_axes), values in zip(_INPUTS.items(), view, strict=True)
    }


class ClipStream:
    """A clip that is lifted frame by frame as it comes; `ClipLifter.stream` makes it.

    As many streams as a window's step has frames take frames by turns.

    Attributes:
        delay: By how many frames poses come later than their frames.

    Example:
        >>> stream = model.stream()
        >>> poses = [stream.push(*frame, camera) for frame in video]  # None for the first `delay`
        >>> poses += stream.finish()
    """

    def __init__(self, lifter: "ClipLifter", streams: Sequence[trained_models.PoseStream]):
        self._lifter, self._streams = lifter, streams
        self.delay = len(streams) * streams[0].delay
        self._num_pushed = 0
        # Of the frames still due: what was seen, and whether by a known camera.
        self._seen: collections.deque[tuple[View, bool]] = collections.deque()

    def push(
        self,
        keypoints_2d: Any,
        confidence: Any = None,
        camera: Any = None,
        skeleton: str | None = None,
    ) -> LiftedPose | None:
        """Takes the next frame, `[..., J, 2]`; the arguments are those of `Lifter.lift`.

        Returns:
            The pose of the frame that came `delay` frames before, None if none did.
        """
        view = self._lifter._checked(keypoints_2d, confidence, camera, skeleton, False)
        stream = self._streams[self._num_pushed % len(self._streams)]
        self._num_pushed += 1
        self._seen.append((view, camera is not None))
        posed = stream.push(*view)
        return None if posed is None else self._lifted(*posed)

    def finish(self) -> list[LiftedPose]:
        """Returns the poses still due; a new clip may follow."""
        due: dict[int, tuple[Any, Any]] = {}
        for start, stream in enumerate(self._streams):
            posed = stream.finish()
            frames = range(start, self._num_pushed, len(self._streams))
            due |= zip(frames[len(frames) - len(posed) :], posed, strict=True)
        self._num_pushed = 0
        return [self._lifted(*due[frame]) for frame in sorted(due)]

    def _lifted(self, pose: np.ndarray, root_position: Any) -> LiftedPose:
        return self._lifter._judged(*self._seen.popleft(), pose, root_position)


class ClipLifter(Lifter):
    """A trained model that lifts a frame by those around it; it takes clips, or frame by frame.

    A frame in which nobody is seen repeats the one before; frames before anybody is seen repeat the
    first in which somebody is.

    Attributes:
        num_frames: Frames of its window.
        is_causal: Whether it lifts a window's last frame, not its middle.
        frame_step: Frames of a clip from one frame of a window to the next, as in training. For
            clips of another frame rate than training's, it may be set to another number.
    """

    _signature = "lift_clip"
    _is_for_clips = True

    def __init__(self, path: pathlib.Path, description: dict[str, Any], is_trusted: bool = False):
        super().__init__(path, description, is_trusted)
        window = description["window"]
        self.num_frames, self.is_causal = window["num_frames"], window["is_causal"]
        self.frame_step = window["frame_step"]

    def stream(self) -> ClipStream:
        """Returns what lifts a clip frame by frame, to the same poses."""
        folder = self.path / trained_models.DESCRIPTION.parent
        names = trained_models.NETWORKS[:2]
        lifting, root = (trained_models.read(folder / f"{name}.npz") for name in names)
        has_free_root = self.description.get("has_free_root", False)

        def root_head(outputs_and_rays: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
            outputs, rays = (array.astype(np.float32) for array in outputs_and_rays)
            return self._call("root_position", {"outputs": outputs, "rays": rays})["root_position"]

        streams = [
            trained_models.PoseStream(lifting, root, root_head, has_free_root=has_free_root)
            for _ in range(self.frame_step)
        ]
        return ClipStream(self, streams)

    def _run(self, *view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        keypoints_2d, confidence, intrinsics = view
        pose = np.zeros((*keypoints_2d.shape[:-1], 3), np.float32)
        root_position = np.zeros((*keypoints_2d.shape[:-2], 3), np.float32)
        if pose.size:
            # Frames that far apart are clips of their own.
            for start in range(min(self.frame_step, keypoints_2d.shape[-3])):
                frames = slice(start, None, self.frame_step)
                pose[..., frames, :, :], root_position[..., frames, :] = super()._run(
                    keypoints_2d[..., frames, :, :],
                    confidence[..., frames, :],
                    intrinsics[..., frames, :, :],
                )
        return pose, root_position


def load_model(path: str | pathlib.Path, *, is_trusted: bool = False) -> Lifter:
    """Loads a trained model. A model is a program: load those whose origin you know.

    Args:
        path: The name of a model that comes with the package, `"studio"`; or a SavedModel's folder,
            a folder of numbered versions, of which the newest is taken, or a pipeline's output
            folder. A folder of a shipped model's name is `"./studio"`.
        is_trusted: Whether the model may hold operations that touch files or the network, which
            are refused otherwise. Even without them a model may compute without end.

    Returns:
        The model: a `ClipLifter` if it lifts a frame by those around it, else a `Lifter`.

    Raises:
        FileNotFoundError: If no model lies there.
        ValueError: If a file of it is damaged, or holds such operations.

    Example:
        >>> model = keras_mvlift.load_model("output/mvlift")
        >>> pose = model.lift(keypoints_2d, confidence, camera=intrinsics)
        >>> pose.pose_camera  # [..., 17, 3], meters
    """
    if not isinstance(path, (str, pathlib.PurePath)):
        raise errors.ArgumentError("path", "be a folder's path", type(path).__name__)
    folder = _folder(path)
    description = trained_models.read_description(folder)
    return (ClipLifter if "window" in description else Lifter)(folder, description, is_trusted)


def _folder(path: str | pathlib.Path) -> pathlib.Path:
    """Finds the SavedModel's folder that `load_model` is told."""
    if path in trained_models.shipped_names():
        return trained_models.shipped_folder(str(path))
    root = pathlib.Path(path)
    # A pipeline keeps its pushed versions there; see pipeline/local.py.
    for folder in (root, root / "serving" / "mvlift"):
        if (folder / trained_models.SAVED_MODEL).is_file():
            return folder
        versions = [file.parent for file in folder.glob(f"*/{trained_models.SAVED_MODEL}")]
        numbered = [version for version in versions if version.name.isdecimal()]
        if numbered:
            return max(numbered, key=lambda version: int(version.name))
    raise FileNotFoundError(
        f"{root}: must be a SavedModel, a folder of its numbered versions or a pipeline's output "
        "folder; no saved_model.pb was found. Nor is it the name of a model that comes with the "
        f"package: {', '.join(trained_models.shipped_names())}."
    )


# What a user gives, checked: NumPy arrays of single precision come out.

# Of a camera whose focal length is a pixel or so, coordinates may well be as small as this.
_LEAST_SPAN, _LEAST_FOCAL = 2.0, 20.0
# Of the focal length: 80 degrees beside the axis, where no lens that is not a fisheye sees.
_MOST_ASIDE = 5.67
MOST_SKEW = 1e-3
"""Of pixels, as a share of the focal length: none is reckoned with, and cameras have none."""
# Meters, of people, from newborn on.
_HEIGHTS = (0.4, 2.8)


def require_pixels(
    keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
) -> None:
    """Refuses coordinates that are shares of an image, in [0, 1] or [-1, 1], and such cameras.

    Raises:
        ArgumentError: If no joint seen of `[..., J, 2]` lies further than 2 pixels from the image's
            corner, and the focal length is one in pixels; or if half the joints lie beside any
            lens's image.
    """
    farthest = np.abs(keypoints_2d).max(initial=0.0)
    is_seen = (confidence > 0).sum() > 1
    if is_seen and farthest <= _LEAST_SPAN and intrinsics[..., 0, 0].min() >= _LEAST_FOCAL:
        rule = "be pixels; multiply shares of an image by its width and height"
        received = f"joints within {farthest:.3g} px of the image's corner"
        raise errors.ArgumentError("keypoints_2d", rule, received)
    focal = np.broadcast_to(intrinsics[..., np.newaxis, 0, 0], confidence.shape)[confidence > 0]
    aside = np.abs(keypoints_2d - intrinsics[..., np.newaxis, :2, 2]).max(axis=-1)[confidence > 0]
    if len(focal) and np.median(aside / focal) > _MOST_ASIDE:
        rule = "have a focal length in pixels, not in millimeters or shares of the image"
        received = f"{focal[0]:.3g}, where joints lie {np.median(aside):.4g} px beside the center"
        raise errors.ArgumentError("camera", rule, received)


def check_height(height: Any, leading: tuple[int, ...]) -> np.ndarray:
    """Checks heights of people, meters, a number or `[*leading]`; returns `[*leading]`.

    Raises:
        ArgumentError: If the shape is another, or a height is none of a person's in meters.
    """
    checked = errors.numbers("height", height, np.float64)
    low, high = _HEIGHTS
    rule, shape = f"be one number or of shape {list(leading)}", f"shape {list(checked.shape)}"
    errors.require(checked.shape in ((), leading), "height", rule, shape)
    is_wrong = ~((checked >= low) & (checked <= high))
    if is_wrong.any():
        raise errors.ArgumentError("height", f"be {low} to {high} meters", checked[is_wrong][0])
    return np.broadcast_to(checked, leading)


def check_intrinsics(camera: Any, leading: tuple[int, ...], mean: np.ndarray) -> np.ndarray:
    """Checks a camera and returns its intrinsics, `[*leading, 3, 3]`.

    It has, or as its attribute `intrinsics`, `[3, 3]` or `[*leading, 3, 3]`, pixels; for None those
    of the mean camera of training are taken, with a warning.

    Raises:
        ValueError: If the shape is wrong, a value is not finite, a focal length not positive or
            the last row not 0, 0, 1.
    """
    shape = (*leading, 3, 3)
    if camera is None:
        told = "`camera` was left out: taking the mean camera of training, "
        told += f"focal length {mean[0, 0]:.0f} px."
        # The caller of `lift`.
        warnings.warn(told, errors.InputWarning, stacklevel=4)
        return np.broadcast_to(mean, shape)
    checked = errors.numbers("camera", getattr(camera, "intrinsics", camera), np.float32)
    is_bad = ~np.isfinite(checked)
    if is_bad.any():
        received = f"{is_bad.sum()} of {checked.size} values NaN or infinite, "
        received += errors.first(is_bad)
        raise errors.ArgumentError("camera", "be finite", received)
    rule = f"have intrinsics of shape [3, 3] or {list(shape)}"
    errors.require(checked.shape in ((3, 3), shape), "camera", rule, list(checked.shape))
    is_wrong = (checked[..., [0, 1], [0, 1]] <= 0).any(axis=-1)
    is_wrong |= (checked[..., 2, :] != [0, 0, 1]).any(axis=-1)
    skew = np.abs(checked[..., [0, 1], [1, 0]]).max(axis=-1)
    is_wrong |= skew > MOST_SKEW * checked[..., 0, 0]
    if is_wrong.any():
        rule = "have positive focal lengths and no skew, and 0, 0, 1 as last row of its intrinsics"
        received = f"{checked[is_wrong][0].tolist()}"
        received += f", {errors.first(is_wrong)}" if is_wrong.ndim else ""
        raise errors.ArgumentError("camera", rule, received)
    warn_of_aspect(checked, stacklevel=5)
    return np.broadcast_to(checked, shape)


_MOST_ASPECT = 1.5


def warn_of_aspect(intrinsics: np.ndarray, stacklevel: int = 3) -> None:
    """Warns of cameras `[..., 3, 3]` whose pixels would be much wider than high, or higher."""
    x, y = intrinsics[..., 0, 0], intrinsics[..., 1, 1]
    is_odd = np.maximum(x / y, y / x) > _MOST_ASPECT
    if is_odd.any():
        told = f"The focal lengths are {x[is_odd][0]:.4g} and {y[is_odd][0]:.4g} px: pixels are "
        told += "hardly so far from square; is the order another than fx, fy, cx, cy?"
        warnings.warn(told, errors.InputWarning, stacklevel=stacklevel)


# How far what was lifted can be relied on.


def _reprojection_errors(
    pose_camera: np.ndarray, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: Any
) -> np.ndarray:
    """Computes `reprojection_error` of `LiftedPose`, `[...]`, of poses `[..., J, 3]` of a view."""
    is_seen = confidence > 0
    missed = cameras.project(pose_camera, intrinsics) - keypoints_2d
    away = np.where(is_seen, np.hypot(missed[..., 0], missed[..., 1]), 0.0).sum(axis=-1)
    shown = is_seen[..., np.newaxis]
    low = keypoints_2d.min(axis=-2, where=shown, initial=np.inf)
    extent = keypoints_2d.max(axis=-2, where=shown, initial=-np.inf) - low
    count = is_seen.sum(axis=-1)
    size = np.maximum(np.hypot(extent[..., 0], extent[..., 1]), 1.0)
    return np.where(count > 1, away / (np.maximum(count, 1) * size), np.nan)


def warn_of_misses(reprojection_error: np.ndarray, stacklevel: int = 3) -> list[str]:
    """Warns where most poses do not project near to the joints that they are lifted from.

    Of `reprojection_error`, `[...]`, of `LiftedPose`, it returns what was told: a sentence or none.
    """
    # Mostly there is none, and the median of one number is the slowest part of it.
    if not (reprojection_error > LARGE_REPROJECTION_ERROR).any():
        return []
    known = reprojection_error[np.isfinite(reprojection_error)]
    miss = float(np.median(known)) if known.size else 0.0
    if miss <= LARGE_REPROJECTION_ERROR:
        return []
    told = f"Poses lie {miss:.0%} of a body's size off the joints that they are lifted from: "
    told += "they are not to be trusted, for the joints are others, or camera or people are unlike "
    told += "training's."
    warnings.warn(told, errors.InputWarning, stacklevel=stacklevel)
    return [told]


def _check_mirrored(description: dict[str, Any]) -> None:
    known = description.get("is_mirrored")
    if known is None:
        # The caller of `lift`.
        told = "`flip`: whether this model was trained on mirrored people is not known."
        warnings.warn(told, stacklevel=3)
    elif not known:
        whose = "for a model that was not trained on mirrored people (`flip_augmentation`)"
        raise ValueError(f"`flip` must be False {whose}. Received: True.")


_MIRROR_SIGNS = np.array([-1.0, 1.0, 1.0], np.float32)


# Of the shipped model on 4,000 views of films of training's people: the first, by joint, makes it
# the mean error. Joints that were not seen err so many times as much, alone and beside others that
# were not (held-out people with joints taken away).
_MIRROR_SCALES = {
    "hip": 0.23,
    "knee": 0.47,
    "ankle": 0.56,
    "spine": 0.25,
    "thorax": 0.37,
    "nose": 0.44,
    "head": 0.47,
    "shoulder": 0.40,
    "elbow": 0.48,
    "wrist": 0.64,
}
_OTHER_SCALE, _UNSEEN_SCALE, _GUESSED_SCALE = 0.45, 1.6, 2.1


def _mirror_uncertainty(
    pose: np.ndarray,
    apart: np.ndarray,
    reprojection_error: np.ndarray,
    is_seen: np.ndarray,
    is_told: np.ndarray,
    joint_names: Sequence[str],
) -> np.ndarray:
    """Computes how far off joints are likely to be, from how far the mirrored ones are `apart`.

    The farther a joint lies from the root, the less sure it is, and wrists less than shoulders.
    """
    kinds = (name.split("_")[-1] for name in joint_names)
    scale = np.array([_MIRROR_SCALES.get(kind, _OTHER_SCALE) for kind in kinds])
    away = np.linalg.norm(pose, axis=-1) ** (1 / 3)
    misfit = apart**0.1 * reprojection_error[..., np.newaxis] ** 0.3
    unseen = np.where(is_seen, 1.0, np.where(is_told, _UNSEEN_SCALE, _GUESSED_SCALE))
    return (scale * unseen * away * misfit).astype(np.float32)
