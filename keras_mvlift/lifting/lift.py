"""From people's 2D joints over time to their poses over time."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors, inference, skeletons
from keras_mvlift.datasets.rigs import detections
from keras_mvlift.geometry import cameras, lenses
from keras_mvlift.lifting import pose_clip, smoothing, tracks_2d, viewpoints

MIN_JOINTS = inference.MIN_JOINTS
"""A person with fewer joints seen in a frame has no pose there."""

_FRAMES_AT_ONCE = 1024
# Meters; of numbers that are noted; and of frames: a deviation below, at and above the median.
_LEAST_SIZE, _DIGITS, _SPREAD = 1e-3, 3, (0.16, 0.5, 0.84)
# Hertz: people come nearer and go away at walking pace.
_DISTANCE_CUTOFF = 2.0
_RATES = (1, errors.MAX_FRAME_RATE)  # Less is hardly a video's.


class _Lifted(NamedTuple):
    """What the model says of `P` people in `T` frames; NaN where they were not lifted."""

    pose: np.ndarray  # [P, T, J, 3], meters, root at 0, camera axes.
    root: np.ndarray  # [P, T, 3], meters, camera frame.
    uncertainty: np.ndarray  # [P, T, J], meters; NaN of a model that does not tell.
    confidence: np.ndarray  # [P, T, J], 0 where not lifted.
    missed: np.ndarray  # [P, T], how far off its joints each pose is, as of `inference.LiftedPose`.


def lift(
    model: inference.Lifter,
    tracks: tracks_2d.Tracks2D,
    viewpoint: viewpoints.Viewpoint | None = None,
    *,
    space: str | None = None,
    frame_rate: float | None = None,
    smoother: smoothing.Butterworth | None = None,
    height: Any = None,
    is_steady: bool = True,
    max_gap: float = smoothing.MAX_GAP,
    mends_sides: bool = True,
    progress: Callable[[list[Any]], Iterable[Any]] = iter,
) -> pose_clip.PoseClip:
    """Lifts people in one camera's image.

    Args:
        model: Of `inference.load_model`.
        tracks: Who was seen; joints of any set that the model's can be made of.
        viewpoint: The camera. Left out, one like those of training is taken, with a warning, and
            positions are as wrong as that.
        space: Of `pose_clip.SPACES`; None for the most that the camera tells: the world where its
            place is known, its own frame where only it is, else root-relative poses.
        frame_rate: Frames per second, where `tracks` do not tell it or tell it wrongly.
        smoother: Smooths poses and root positions, in the camera's axes; None for as they come.
        height: How tall people are, meters: a number, or one for each of them. Poses and positions
            are scaled alike; with `is_steady` positions follow half of what a frame's size differs
            by. Left out, they are as tall as the model has them in the median frame.
        is_steady: Whether a person has the same `skeletons.stature` in all frames, and a distance
            without jitter; else each frame is as the model has it.
        max_gap: Seconds; joints that were not seen for as long are put on the straight line across
            the gap, with low confidence. 0 for none; else at least a single frame is bridged.
        mends_sides: Whether legs and arms go back to their side in frames in which they jumped to
            the other and back, as where a detector takes left for right.
        progress: Is given the pieces of work and gives them on, such as `tqdm.tqdm`.

    Returns:
        The poses, with NaN in frames in which less than `MIN_JOINTS` joints of a person were seen.
        The confidence of a joint is that of the 2D joint, 0 for one that only the model knows of.
        A model that was trained on mirrored people lifts the mirrored person, too, which tells how
        sure joints are. Of each person `about` notes the `stature` in meters, its spread from
        frame to frame before they were scaled, as a share (`stature_spread`), the median
        `reprojection_error`, and the number of `swapped_frames` that were mended; and of the
        camera its numbers, `viewpoint`, but for poses around the root.

    Raises:
        ValueError: If the arguments do not fit each other or do not tell what is asked for.
    """
    _check_types(model, tracks, viewpoint)
    rate = _frame_rate(tracks, frame_rate)
    seen_from = _viewpoint(model, tracks, viewpoint)
    told = "root" if viewpoint is None else "world" if viewpoint.has_place else "camera"
    target = space or told
    errors.require_known("space", target, pose_clip.SPACES)
    if target == "world" and not seen_from.has_place:
        seen_from.world_from_camera(np.zeros(3))
    _check_image(tracks, seen_from)
    converter = _converter(model, tracks)
    straight, confidence = _undistorted(tracks, seen_from, converter)
    _warn_of_upside_down(straight, confidence, model.joint_names)
    about: dict[str, Any] = {"camera": seen_from.origin, "max_gap": max_gap}
    about |= {"is_smoothed": smoother is not None, "notes": list(tracks.notes)}
    if mends_sides:
        straight, confidence, swapped = smoothing.swap_back(straight, confidence, model.joint_names)
        counts = swapped.sum(axis=1).tolist()
        about["swapped_frames"] = dict(zip(tracks.names, counts, strict=True))
    straight, confidence = smoothing.bridge(straight, confidence, max_gap * rate)
    lifted = _run(model, straight, confidence, seen_from, progress, **_detector(model, tracks))
    lifted, measured = _sized(lifted, model.joint_names, height, rate if is_steady else None)
    if target != "root":
        about["viewpoint"] = seen_from.as_data()
        about["notes"] += inference.warn_of_misses(lifted.missed)
        measured = {"reprojection_error": _quantiles(lifted.missed, 0.5)[:, 0]} | measured
    about |= {name: _noted(tracks.names, values) for name, values in measured.items()}
    pose, root = (_smooth(each, smoother, rate) for each in (lifted.pose, lifted.root))
    pose = _placed(pose, root, seen_from, target)
    if target == "world":
        warn_of_world(pose, model.joint_names)
    return pose_clip.PoseClip(
        tracks=_tracks(tracks, converter, lifted._replace(pose=pose)),
        space=target,
        frame_rate=rate,
        first_frame=tracks.first_frame,
        joint_names=model.joint_names,
        parents=model.parents,
        image_size=tracks.image_size or seen_from.image_size,
        about=about,
    )


def _check_types(model: Any, tracks: Any, viewpoint: Any) -> None:
    holds = hasattr(model, "lift")
    errors.require(holds, "model", "come from `load_model`", type(model).__name__)
    rule = "be people's 2D joints, such as `tracks_2d.of_arrays` gives"
    errors.require_type("tracks", tracks, tracks_2d.Tracks2D, rule)
    if viewpoint is not None:
        rule = "be a camera, such as `viewpoints.from_intrinsics` gives"
        errors.require_type("viewpoint", viewpoint, viewpoints.Viewpoint, rule)


def _frame_rate(tracks: tracks_2d.Tracks2D, given: float | None) -> float:
    rate = tracks.frame_rate if given is None else given
    if rate is None:
        # A single picture has no rate, and needs none.
        is_single, rule = tracks.num_frames == 1, "be given, for the input tells none"
        errors.require(is_single, "frame_rate", rule, "nothing")
        return 1.0
    if given is not None:
        if (told := errors.frame_rate(given)) < _RATES[0]:
            _warn(f"There are {told:g} frames per second: is that the time from frame to frame?")
        return told
    number = errors.number("frame_rate", rate)
    low, high = _RATES
    rule = f"be {low} to {high} per second where the input tells it; --frame-rate goes before"
    received = f"{number:.3g}" + (", as of times in milliseconds" if 0 < number < low else "")
    errors.require(low <= number <= high, "frame_rate", rule, received)
    return number


def _viewpoint(
    model: inference.Lifter, tracks: tracks_2d.Tracks2D, given: viewpoints.Viewpoint | None
) -> viewpoints.Viewpoint:
    if given is not None:
        return given
    taken = viewpoints.like_training(model.intrinsics, tracks.image_size)
    cost = "where that is ten degrees off, poses are off by some 5 mm more"
    _warn(f"`camera` was left out: taking {taken.origin}; {cost}.")
    return taken


def _converter(model: inference.Lifter, tracks: tracks_2d.Tracks2D) -> skeletons.Converter:
    target = skeletons.Skeleton(name="the model's joints", joints=model.joint_names)
    known = {joint for skeleton in skeletons.SKELETONS.values() for joint in skeleton.joints}
    try:
        return skeletons.Converter(tracks.joint_names, target)
    except ValueError as error:
        unknown = [name for name in tracks.joint_names if name not in known]
        if not unknown:
            raise
        received = f"{unknown[0]!r}{errors.nearest(unknown[0], known)}"
        rule = f"be those of a joint set, such as {', '.join(skeletons.COCO_17.joints)}"
        raise errors.ArgumentError("joint_names", rule, received) from error


def _detector(model: inference.Lifter, tracks: tracks_2d.Tracks2D) -> dict[str, str]:
    """Returns what tells a model whose joints it lifts, if it asks for that."""
    known = {skeletons.by_name(name).joints: name for name in getattr(model, "joint_mixes", {})}
    name = known.get(tracks.joint_names)
    return {} if name is None else {"detected_as": name}


def _undistorted(
    tracks: tracks_2d.Tracks2D, viewpoint: viewpoints.Viewpoint, converter: skeletons.Converter
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the model's joints, as a straight lens has them."""
    seen = bent = tracks.keypoints_2d, tracks.confidence
    if viewpoint.distortion is not None:
        seen = lenses.undistort_detections(*bent, viewpoint.intrinsics, viewpoint.distortion)
        _warn_of_lens(bent, seen, viewpoint)
    return converter.keypoints(seen[0]), converter.confidence(seen[1])


def _run(
    model: inference.Lifter,
    keypoints_2d: np.ndarray,
    confidence: np.ndarray,
    viewpoint: viewpoints.Viewpoint,
    progress: Callable[[list[Any]], Iterable[Any]],
    **detector: str,
) -> _Lifted:
    num_people, num_frames, num_joints = confidence.shape
    pose = np.zeros((num_people, num_frames, num_joints, 3))
    root, uncertainty = np.zeros_like(pose[..., 0, :]), np.full_like(confidence, np.nan)
    missed = np.zeros((num_people, num_frames))
    is_mirrored = getattr(model, "description", {}).get("is_mirrored")
    options: dict[str, Any] = detector | ({"flip": True} if is_mirrored else {})
    # A model of clips must see each whole.
    length = num_frames if isinstance(model, inference.ClipLifter) else _FRAMES_AT_ONCE
    pieces = [
        (person, slice(start, start + length))
        for person in range(num_people)
        for start in range(0, num_frames, length)
    ]
    for piece in progress(pieces):
        with warnings.catch_warnings():
            # Of the whole, below.
            warnings.simplefilter("ignore", errors.InputWarning)
            lifted = model.lift(keypoints_2d[piece], confidence[piece], viewpoint, **options)
        pose[piece], root[piece] = lifted.root_relative_pose, lifted.root_position
        missed[piece] = lifted.reprojection_error
        if lifted.joint_uncertainty is not None:
            uncertainty[piece] = lifted.joint_uncertainty
    is_lifted = (confidence > 0).sum(axis=-1) >= MIN_JOINTS
    for values in (pose, root, uncertainty, missed):
        values[~is_lifted] = np.nan
    sure = np.where(is_lifted[..., np.newaxis], confidence, 0.0)
    return _Lifted(pose, root, uncertainty, sure, missed)


def _sized(
    lifted: _Lifted, joint_names: tuple[str, ...], height: Any, steady_rate: float | None
) -> tuple[_Lifted, dict[str, np.ndarray]]:
    """Scales people to their size and, at a frame rate, to one for all frames at steady distances.

    Returns them, and by the names of `about` the size, meters, and its spread before, `[P]`.
    """
    each = skeletons.stature(lifted.pose, joint_names)
    low, own, high = _quantiles(each, *_SPREAD).T
    stature = own if height is None else inference.check_height(height, own.shape)
    usual = np.maximum(own[:, np.newaxis], _LEAST_SIZE)
    before = usual if steady_rate is None else np.maximum(each, _LEAST_SIZE)
    scale = (stature[:, np.newaxis] / before)[..., np.newaxis]
    # What a frame's size differs by is half an error of the size alone, and half one that the
    # place, by which pose and rays fit, does not have (measured).
    root = lifted.root * scale * np.sqrt(before / usual)[..., np.newaxis]
    scaled = lifted._replace(
        pose=lifted.pose * scale[..., np.newaxis],
        root=root if steady_rate is None else _steadied(root, steady_rate),
        uncertainty=lifted.uncertainty * scale,
    )
    spread = (high - low) / (2 * np.maximum(own, _LEAST_SIZE))
    return scaled, {"stature": stature, "stature_spread": spread}


def _steadied(root: np.ndarray, frame_rate: float) -> np.ndarray:
    """Takes the jitter out of distances, and leaves roots `[P, T, 3]` where the image has them."""
    depth = root[..., 2:]
    # By logarithms: a distance is as wrong as it is large.
    known = np.log(np.where(depth > cameras.MIN_DEPTH, depth, np.nan))
    steady = np.exp(_smooth(known, smoothing.Butterworth(cutoff=_DISTANCE_CUTOFF), frame_rate))
    return np.where(np.isfinite(steady), root * (steady / depth), root)


def _quantiles(values: np.ndarray, *shares: float) -> np.ndarray:
    """Returns quantiles `[P, Q]` of what is known of `[P, T]`; NaN of whom nothing is."""
    known = (row[np.isfinite(row)] for row in values)
    nothing = np.full(len(shares), np.nan)
    return np.array([np.quantile(row, shares) if len(row) else nothing for row in known])


def _noted(names: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    """Returns numbers by name, rounded, as JSON has them."""
    return {
        name: round(float(value), _DIGITS) if np.isfinite(value) else None
        for name, value in zip(names, values, strict=True)
    }


def _smooth(
    points: np.ndarray, smoother: smoothing.Butterworth | None, frame_rate: float
) -> np.ndarray:
    """Smooths `[P, T, ..., D]` along its second axis, if there is a smoother."""
    if smoother is None:
        return points
    return np.swapaxes(smoother.smooth(np.swapaxes(points, 0, 1), frame_rate), 0, 1)


def _placed(
    pose: np.ndarray, root: np.ndarray, viewpoint: viewpoints.Viewpoint, space: str
) -> np.ndarray:
    if space == "root":
        return pose
    pose_camera = pose + root[..., np.newaxis, :]
    return pose_camera if space == "camera" else viewpoint.world_from_camera(pose_camera)


def _tracks(
    tracks: tracks_2d.Tracks2D, converter: skeletons.Converter, lifted: _Lifted
) -> tuple[pose_clip.Track, ...]:
    # What is shown beside the poses is where the image has it, bent as the lens bends it.
    seen = converter.confidence(tracks.confidence)
    keypoints = converter.keypoints(tracks.keypoints_2d)
    keypoints = np.where(seen[..., np.newaxis] > 0, keypoints, np.nan)
    is_uncertain = np.isfinite(lifted.uncertainty).any(axis=(1, 2))
    return tuple(
        pose_clip.Track(
            name=name,
            pose=lifted.pose[index],
            confidence=lifted.confidence[index],
            uncertainty=lifted.uncertainty[index] if is_uncertain[index] else None,
            keypoints_2d=keypoints[index],
            keypoint_confidence=seen[index],
        )
        for index, name in enumerate(tracks.names)
    )


# What is likely not meant, and warned about.

# Of an image, on each side, where its size is known and where it is guessed.
_MARGINS = (0.02, 0.25)
# Of joints that may lie outside, and of frames in which people may lie or stand on their heads.
_MANY = 0.2
_MOST = 0.6
# Of the distance from the principal point, and of joints: more no lens moves, or loses.
_MOVED = 0.3
_LOST = 0.02
# Of an image: what was detected at half its size lies in no more of it, and fills some, or is small
# in the very corner, as percents are.
_CORNER, _FILLED, _VERY_CORNER = 0.5, 0.15, 0.2
# Of the unit vector along the back, as a mean over frames.
_UPRIGHT = 0.5
_FAR = 200.0  # Meters from the world's origin.


def _warn(told: str) -> None:
    warnings.warn(told, errors.InputWarning, stacklevel=4)


def _check_image(tracks: tracks_2d.Tracks2D, viewpoint: viewpoints.Viewpoint) -> None:
    """Warns of joints outside of the image or in its corner; refuses turned ones and no pixels."""
    inference.require_pixels(tracks.keypoints_2d, tracks.confidence, viewpoint.intrinsics)
    inference.warn_of_aspect(viewpoint.intrinsics, stacklevel=4)
    points = tracks.keypoints_2d[tracks.confidence > 0]
    known = tracks.image_size or viewpoint.image_size
    size = np.array(known) if known else 2.0 * viewpoint.intrinsics[:2, 2]
    if not len(points) or (size <= 0).any():
        return
    width, height = size
    if known and detections.is_swapped(tracks.keypoints_2d, tracks.confidence, (width, height)):
        rule = f"be width and height: joints fit an image of {height:.0f} x {width:.0f}"
        received = f"{width:.0f} x {height:.0f}: are they swapped, or is it turned?"
        raise errors.ArgumentError("image_size", rule, received)
    center = viewpoint.intrinsics[:2, 2]
    if known and ((center < 0) | (center > size)).any():
        place = " x ".join(f"{each:.0f}" for each in center)
        _warn(
            f"The principal point, {place}, lies outside of the image of "
            f"{size[0]:.0f} x {size[1]:.0f}: is it that of another resolution or part of it?"
        )
    share = points / size
    margin = _MARGINS[0 if known else 1]
    outside = float(((share < -margin) | (share > 1 + margin)).any(axis=-1).mean())
    image = f"the image of {size[0]:.0f} x {size[1]:.0f}" + ("" if known else ", as the camera has")
    advice = "were they detected at another resolution, or is it turned?"
    if outside > _MANY:
        far = " x ".join(f"{most:.0f}" for most in points.max(axis=0))
        _warn(f"{outside:.0%} of the joints lie outside of {image} (up to {far}): {advice}")
    elif (share.max(axis=0) < _CORNER).all() and (
        np.ptp(share, axis=0).max() > _FILLED or share.max() < _VERY_CORNER
    ):
        most = share.max()
        _warn(f"All joints lie in the first {most:.0%} of {image}, both ways: {advice}")
    elif known and width < height and (share <= [1 + margin, width / height]).all():
        _warn(
            f"All joints lie in the upper {share[:, 1].max():.0%} of {image}: is it {height:.0f} "
            f"wide and {width:.0f} high?"
        )


def _warn_of_lens(
    bent: tuple[np.ndarray, ...], seen: tuple[np.ndarray, ...], viewpoint: viewpoints.Viewpoint
) -> None:
    """Warns of a lens that moves joints far, or from where no ray comes."""
    was_seen, is_seen = bent[1] > 0, seen[1] > 0
    moved = np.linalg.norm((seen[0] - bent[0])[is_seen], axis=-1)
    aside = np.linalg.norm(bent[0][is_seen] - viewpoint.intrinsics[:2, 2], axis=-1)
    share = float(np.median(moved / np.maximum(aside, 1.0))) if is_seen.any() else 0.0
    lost = 1 - is_seen.sum() / max(was_seen.sum(), 1)
    if share > _MOVED or lost > _LOST:
        _warn(
            f"The lens moves joints by {share:.0%} of their distance from the principal point, and "
            f"{lost:.0%} out of sight: are its coefficients OpenCV's k1, k2, p1, p2, k3?"
        )


def _warn_of_upside_down(
    keypoints_2d: np.ndarray, confidence: np.ndarray, joint_names: tuple[str, ...]
) -> None:
    """Warns where heads are below feet in most frames, as where y points up."""
    height = []
    for parts in (("nose", "head", "thorax"), ("knee", "ankle")):
        used = [any(part in name for part in parts) for name in joint_names]
        seen = confidence[..., used] > 0
        total = np.where(seen, keypoints_2d[..., used, 1], 0.0).sum(axis=-1)
        height.append(np.where(seen.any(axis=-1), total / np.maximum(seen.sum(axis=-1), 1), np.nan))
    lower = height[0] - height[1]
    is_known = np.isfinite(lower)
    if is_known.any() and (share := float((lower[is_known] > 0).mean())) > _MOST:
        _warn(f"Heads are below feet in {share:.0%} of frames: y must grow downwards.")


def warn_of_world(
    pose_world: np.ndarray, joint_names: tuple[str, ...], owner: str = "people"
) -> None:
    """Warns of people who lie, stand on their heads or are far away, in the world.

    Poses are `[..., J, 3]`, meters, z up, NaN where absent; a pelvis and a thorax are among them.
    """
    root, neck = (pose_world[..., joint_names.index(name), :] for name in ("pelvis", "thorax"))
    back = (neck - root)[np.isfinite(neck).all(axis=-1)]
    if not len(back):
        return
    along = (back / np.maximum(np.linalg.norm(back, axis=-1, keepdims=True), 1e-9)).mean(axis=0)
    if along[2] < _UPRIGHT and np.abs(along).max() > _UPRIGHT:
        axis = int(np.abs(along).argmax())
        name = ("-" if along[axis] < 0 else "") + "xyz"[axis]
        _warn(f"Backs of {owner} point along the world's {name} axis, not z: is up {name} (--up)?")
    away = float(np.nanmedian(np.linalg.norm(root, axis=-1)))
    if away > _FAR:
        place = f"{away:,.0f} m from the world's origin"
        _warn(f"The {owner} are {place}: is the unit another (--unit)?")
