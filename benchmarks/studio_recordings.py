"""The real recordings by which the studio model is bettered and tested, and no label of theirs.

AIST++'s dancers d03 and d04 before nine cameras, and Pose2Sim's demo: a man who balances on one
leg, and who stands, before four.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks import studio_films, studio_model, studio_motions
from keras_mvlift import skeletons
from keras_mvlift.datasets import aistpp, sequences, views
from keras_mvlift.datasets.rigs import pose2sim, trc
from keras_mvlift.experiments import origins
from keras_mvlift.geometry import lenses, procrustes
from keras_mvlift.lifting import person_detector, video
from keras_mvlift.metrics import pose_error
from keras_mvlift.studio import filming
from keras_mvlift.training import adaptation, refinement

MAX_VIEWS = 8000
"""Real views of a recording that are looked at."""

# As of `pose2sim.demo_root()`, and below the session.
_BALANCING, _STANDING = "opensim/Balancing_for_IK.trc", "opensim/Standing_for_Scaling.trc"
_TRIALS = "S00_P00_SingleParticipant/S00_P00_T0"
_JOINTS = skeletons.H36M_17.joints
_HIPS = [_JOINTS.index("left_hip"), _JOINTS.index("right_hip")]
# What all detectors and references agree on: from the shoulders to the wrists, the hips to the
# ankles.
_LIMBS = [index for index, joint in enumerate(_JOINTS) if joint.startswith(("left_", "right_"))]
_DANCE_STRIDE = 6
# Virtual rigs around triangulated people: their cameras, and for how many instants each stands.
_NUM_CAMERAS, _SEGMENT = 6, 12
# A person of fewer known joints is not filmed.
_MIN_KNOWN = 12
# Films are as many as the real views, about.
_FILM_STRIDE, _FILM_SEED = 24, 7


class Recording(NamedTuple):
    """What some cameras saw of a person.

    Attributes:
        person: Who is left out as a whole.
        joint_set: The detector's, by its name in `skeletons`.
        clips: One or more.
        has_all_joints: Whether all joints are compared, or the limbs alone.
        stride: One in so many frames is tested, of the first clip.
    """

    person: str
    joint_set: str
    clips: list[sequences.MultiViewSequence]
    has_all_joints: bool = False
    stride: int = 1


class Tested(NamedTuple):
    """Views that are lifted, and the truth.

    Attributes:
        view: Fields `[N, ...]`.
        pose: `[N, J, 3]`, meters, camera axes, root at 0.
        has_all_joints: Whether all joints are compared, not the limbs alone.
    """

    view: views.View
    pose: np.ndarray
    has_all_joints: bool

    def errors(self, pose: np.ndarray) -> tuple[float, float, float]:
        """Returns MPJPE, N-MPJPE and P-MPJPE in mm of poses like `pose`, as `errors_of` does."""
        return errors_of(self.pose, pose, self.has_all_joints)


def errors_of(
    pose_true: np.ndarray, pose: np.ndarray, has_all_joints: bool = False
) -> tuple[float, float, float]:
    """Returns MPJPE, N-MPJPE and P-MPJPE in mm of poses `[N, J, 3]`, meters, root at 0.

    Where not all joints are compared, limbs are, centered at the middle of the hips.
    """
    true, lifted = (
        _rooted(np.asarray(each, np.float32), has_all_joints) for each in (pose_true, pose)
    )
    counted = slice(0 if has_all_joints else 1, None)
    scaled = procrustes.align_scale(lifted, true)
    found = (
        pose_error.joint_errors(true, lifted)[:, counted],
        pose_error.joint_errors(true, scaled)[:, counted],
        pose_error.p_mpjpe(true[:, counted], lifted[:, counted]),
    )
    mpjpe, n_mpjpe, p_mpjpe = (
        pose_error.MILLIMETERS_PER_METER * float(np.mean(each)) for each in found
    )
    return mpjpe, n_mpjpe, p_mpjpe


def _rooted(pose: np.ndarray, has_all_joints: bool) -> np.ndarray:
    """Returns poses relative to their first joint: of limbs that is the hips' middle."""
    if has_all_joints:
        return pose - pose[:, :1]
    middle = pose[:, _HIPS].mean(axis=1, keepdims=True)
    return np.concatenate([np.zeros_like(middle), pose[:, _LIMBS] - middle], axis=1)


def read(aistpp_root: str, session: pathlib.Path) -> dict[str, Recording]:
    """Reads the recordings.

    Args:
        aistpp_root: AIST++'s folder.
        session: `S00_Demo_BatchSession` of the package `pose2sim==0.8.4`, whose videos are read.
    """
    return _dances(aistpp_root) | _trials(session)


def _dances(root: str) -> dict[str, Recording]:
    source = aistpp.AISTPPSource(root=root, subjects=("d03", "d04"))
    clips = [source.read(name) for name in source.clips()]
    found: dict[str, Recording] = {}
    for clip in clips:
        person = f"AIST++ {clip.subject}"
        name = person if clip.pose_world is not None else f"{person}, without a reference"
        others = found[name].clips if name in found else []
        found[name] = Recording(person, "coco_17", [*others, clip], True, _DANCE_STRIDE)
    return found


def balancing(
    session: pathlib.Path,
) -> tuple[pose2sim.Pose2SimSource, sequences.MultiViewSequence, list[pathlib.Path]]:
    """Returns Pose2Sim's demo, what OpenPose saw there with the reference, and its videos."""
    source = pose2sim.Pose2SimSource(root=pose2sim.demo_root(), reference=_BALANCING)
    (clip,) = source
    folder = session / f"{_TRIALS}1_BalancingTrial" / "videos"
    return source, clip, sorted(folder.glob("*.mp4"))


def _trials(session: pathlib.Path) -> dict[str, Recording]:
    root = pathlib.Path(pose2sim.demo_root())
    source = pose2sim.Pose2SimSource(root=str(root), reference=_BALANCING)
    (openpose,) = source
    markers = trc.read(root / _STANDING)
    standing = skeletons.Converter(markers.names).keypoints(markers.points).mean(axis=0)
    moving = _filmed(source, session / f"{_TRIALS}1_BalancingTrial" / "videos", openpose)
    still = _filmed(source, session / f"{_TRIALS}0_StaticTrial" / "videos", openpose)
    still = dataclasses.replace(still, pose_world=np.stack([standing] * still.num_frames))
    found = {
        "balancing, OpenPose": (openpose, source.joint_set),
        "balancing, MediaPipe": (moving, person_detector.SKELETON.name),
        "standing, MediaPipe": (still, person_detector.SKELETON.name),
    }
    return {
        f"Pose2Sim {name}": Recording("Pose2Sim", joint_set, [clip])
        for name, (clip, joint_set) in found.items()
    }


def _filmed(
    source: pose2sim.Pose2SimSource, folder: pathlib.Path, like: sequences.MultiViewSequence
) -> sequences.MultiViewSequence:
    """Returns what MediaPipe sees in videos of a rig, with the reference of another clip."""
    paths = sorted(folder.glob("*.mp4"))
    tracks = [person_detector.detect(video.inspect(path)) for path in paths]
    length = min(each.num_frames for each in tracks)
    seen = skeletons.convert(
        np.stack([each.keypoints_2d[0, :length] for each in tracks]),
        np.stack([each.confidence[0, :length] for each in tracks]),
        person_detector.SKELETON.name,
    )
    keypoints_2d, confidence = lenses.undistort_detections(*seen, *source.rig.lens)
    pose = like.pose_world
    return dataclasses.replace(
        like,
        keypoints_2d=keypoints_2d,
        confidence=confidence,
        pose_world=None if pose is None or len(pose) != length else pose,
    )


def tested(recording: Recording) -> Tested | None:
    """Returns the views of a recording's first clip with the truth; None where it has none."""
    clip = recording.clips[0]
    if clip.pose_world is None:
        return None
    some = sequences.instants_of_sequence(clip, np.arange(0, clip.num_frames, recording.stride))
    pose = clip.pose_world[some.frame]
    in_camera = np.einsum("tjx,vyx->tvjy", pose - pose[:, :1], clip.camera.rotation)
    compared = in_camera if recording.has_all_joints else in_camera[:, :, _LIMBS]
    is_tested = some.is_used(adaptation.MIN_JOINTS) & np.isfinite(compared).all(axis=(2, 3))
    seen = tf.nest.map_structure(lambda field: field[is_tested], sequences.to_view(some))
    return Tested(seen, in_camera[is_tested], recording.has_all_joints)


# What is seen, and what it should be lifted to.


def filmed(points: np.ndarray, trust: np.ndarray, seed: int) -> Iterator[adaptation.Fitted]:
    """Films triangulated people by rigs as of `studio_films`, which need not know their joints.

    Args:
        points: `[T, J, 3]`, meters, world frame.
        trust: `[T, J]`; 0 where a joint is not known.
        seed: Of rigs and detections.
    """
    rng = np.random.default_rng(seed)
    is_known = trust > 0
    is_filmed = is_known[:, skeletons.ROOT] & (is_known.sum(axis=1) >= _MIN_KNOWN)
    for start in range(0, np.count_nonzero(is_filmed), _SEGMENT):
        rows = np.flatnonzero(is_filmed)[start : start + _SEGMENT]
        shown = is_known[rows]
        people = np.where(shown[..., np.newaxis], points[rows], points[rows, :1])
        rig = studio_films.rig(people[shown].mean(axis=0), _NUM_CAMERAS, rng)
        keypoints_2d, confidence = filming.Detector(noise_px=4.0, missing_rate=0.02).detect(
            people, rig, rng
        )
        seen = studio_films.views_of(keypoints_2d, confidence * shown, rig)
        yield adaptation.both_sides(seen, points[rows], trust[rows], refinement.packed)[0]


def sets_of(recording: Recording, seed: int) -> list[adaptation.Fitted]:
    """Returns what real cameras saw of a person, and what virtual ones see."""
    instants = adaptation.parts_of(recording.clips, MAX_VIEWS)
    real: list[adaptation.Fitted] = []
    virtual: list[adaptation.Fitted] = []
    for some, known in zip(instants, adaptation.triangulated(instants), strict=True):
        sides = adaptation.both_sides(sequences.to_view(some), *known, refinement.packed)
        real.append(sides[0])
        virtual += filmed(*known, seed)
    return [adaptation.together(real), adaptation.together(virtual)]


def film_set(recorded: Sequence[origins.Motion], seed: int) -> adaptation.Fitted:
    """Films motions as `studio_model.train` does; what they should be lifted to is triangulated."""
    made_up = studio_motions.made_up(seed, studio_model.FULL.num_people)
    motions = [*recorded, *studio_motions.mixed(recorded, seed), *made_up]
    how = studio_films.Filming(stride=_FILM_STRIDE, seed=seed + _FILM_SEED)
    # The true poses are left behind here.
    seen = studio_films.film(motions, how).seen
    names = tuple(map(str, range(seen.confidence.shape[1])))
    some = sequences.Instants(np.arange(len(seen.confidence)), names, *seen)
    (known,) = adaptation.triangulated([some])
    return adaptation.both_sides(seen, *known, refinement.packed)[0]
