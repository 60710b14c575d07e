"""How rightly `check-rig` names mistakes that hold in some frames: the table of docs/check_rig.md.

`python -m benchmarks.rig_checks 400` draws as many rigs; 200 more are left as they are.
"""

import collections
import dataclasses
import sys
from collections.abc import Callable

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import mistakes, verdicts
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import synthetic

SHARES = (0.1, 0.2, 0.4, 0.6)
MAX_CAMERAS = 12
_NUM_FRAMES = 200
# Of whom one is another person than the first, so far away in meters.
_NUM_PEOPLE, _MIN_APART = 4, 0.5
# People who walk show what time does; those who stand do not.
_ACTIONS = ("walking", "turning", "boxing")
DEGREES = (1.0, 2.0, 5.0, 10.0)
UNNAMED = {"unexplained", "calibration_off"}
"""What is said of cameras that face elsewhere, which no mistake explains."""
HARMLESS = {"frames_lost", "detections_unsure", "detections_noisy"}
"""What a mistake may bring with it that is true as well."""


@dataclasses.dataclass(frozen=True)
class Draw:
    """A rig whose mistake is planted.

    Attributes:
        clean: What the rig saw of a person.
        other: The same of another person at the same time.
        view: The camera that has the mistake.
        share: In how much of the frames.
        rng: Random numbers.
    """

    clean: footages.Footage
    other: footages.Footage
    view: int
    share: float
    rng: np.random.Generator

    @property
    def frames(self) -> np.ndarray:
        """Frames of the share `[T]` bool, in stretches of a few frames."""
        stretch = np.arange(self.clean.num_frames) // 5
        chosen = self.rng.permutation(stretch.max() + 1)[stretch] < self.share * (stretch.max() + 1)
        return chosen

    @property
    def last(self) -> np.ndarray:
        """The last frames of the share, `[T]` bool."""
        return np.arange(self.clean.num_frames) >= (1 - self.share) * self.clean.num_frames

    def in_view(self, frames: np.ndarray) -> np.ndarray:
        """Returns the view's frames, `[V, T]` bool."""
        return (np.arange(self.clean.num_views) == self.view)[:, np.newaxis] & frames


def taken(clean: footages.Footage, other: footages.Footage, where: np.ndarray) -> footages.Footage:
    """Takes what other footage saw in some views, `[V, T]` bool."""
    return clean.replace_images(
        np.where(where[..., np.newaxis, np.newaxis], other.keypoints_2d, clean.keypoints_2d),
        np.where(where[..., np.newaxis], other.confidence, clean.confidence),
    )


def swap_sides(draw: Draw) -> footages.Footage:
    """Swaps left and right in some frames of a camera."""
    where = draw.in_view(draw.frames)
    return taken(draw.clean, mistakes.swap_sides(draw.clean), where)


def swap_all_sides(draw: Draw) -> footages.Footage:
    """Swaps left and right in all cameras for a while."""
    where = np.broadcast_to(draw.last, (draw.clean.num_views, draw.clean.num_frames))
    return taken(draw.clean, mistakes.swap_sides(draw.clean), where)


def show_other(draw: Draw) -> footages.Footage:
    """Lets a camera see another person in some frames."""
    return taken(draw.clean, draw.other, draw.in_view(draw.frames))


def freeze(draw: Draw) -> footages.Footage:
    """Repeats a camera's picture from a frame on."""
    first = int(np.flatnonzero(draw.last)[0])
    index = np.minimum(np.arange(draw.clean.num_frames), first)
    where = draw.in_view(draw.last)
    return taken(draw.clean, draw.clean.frames(index), where)


def bump(draw: Draw) -> footages.Footage:
    """Turns a camera by 2 to 6 degrees from a frame on."""
    angle = np.radians(draw.rng.uniform(2, 6)) * draw.rng.choice([-1, 1])
    cosine, sine = np.cos(angle), np.sin(angle)
    rays = draw.clean.rays
    turned = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
    turned = turned @ np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    intrinsics = draw.clean.camera.intrinsics[:, np.newaxis, np.newaxis]
    image = turned[..., :2] / turned[..., 2:] * intrinsics[..., [0, 1], [0, 1]]
    moved = draw.clean.replace_images(image + intrinsics[..., :2, 2], draw.clean.confidence)
    return taken(draw.clean, moved, draw.in_view(draw.last))


def run_slow(draw: Draw) -> footages.Footage:
    """Lets a camera run at 85 to 97 % of its rate, whatever the share."""
    return _renumbered(draw, np.arange(draw.clean.num_frames) / draw.rng.uniform(0.85, 0.97))


def lose_frames(draw: Draw) -> footages.Footage:
    """Drops some of a camera's frames and numbers on, whatever the share."""
    kept = draw.rng.uniform(size=2 * draw.clean.num_frames) > draw.rng.uniform(0.05, 0.15)
    return _renumbered(draw, np.flatnonzero(kept)[: draw.clean.num_frames])


def _renumbered(draw: Draw, index: np.ndarray) -> footages.Footage:
    index = index.round().astype(int)
    inside = index < draw.clean.num_frames
    moved = draw.clean.frames(np.where(inside, index, 0))
    every = np.ones(draw.clean.num_frames, bool)
    return taken(draw.clean, moved, draw.in_view(every)).without(draw.in_view(~inside))


def turn_all(seen: footages.Footage, degrees: float, seed: int) -> footages.Footage:
    """Has every camera face elsewhere than its calibration says, each about an axis of its own."""
    axes = np.random.default_rng(seed).normal(size=(seen.num_views, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    turns = cameras.from_rotation_vector(np.radians(degrees) * axes)
    return seen.replace_camera(rotation=np.asarray(turns) @ seen.camera.rotation)


PLANTED: dict[str, tuple[Callable[[Draw], footages.Footage], str]] = {
    "sides swapped": (swap_sides, "sides_swapped"),
    "sides swapped in all cameras": (swap_all_sides, "sides_swapped"),
    "another person": (show_other, "other_person"),
    "frozen": (freeze, "camera_frozen"),
    "bumped": (bump, "camera_moved"),
    "other frame rate": (run_slow, "time_drift"),
    "frames lost": (lose_frames, "time_drift"),
}
"""What plants a mistake, and its name."""


def draw(seed: int, num_cameras: int, share: float) -> Draw:
    """Films two people with a rig."""
    rng = np.random.default_rng(seed)
    studio = synthetic.Studio(
        num_subjects=_NUM_PEOPLE,
        num_clips=1,
        actions=(str(rng.choice(_ACTIONS)),),
        num_frames=_NUM_FRAMES,
        rig="ring",
        # Of three of a ring of four two face each other: nobody contradicts the third.
        num_cameras=5 if num_cameras == 3 else max(num_cameras, 4),
        noise_px=float(rng.uniform(1, 4)),
        seed=seed,
    )
    first, *others = list(studio)
    # Two people are not in the same place.
    farthest = max(others, key=lambda other: _apart(first, other))
    other = next((each for each in others if _apart(first, each) > _MIN_APART), farthest)
    clean, beside = (_first(footages.of_sequences([clip]), num_cameras) for clip in (first, other))
    return Draw(clean, beside, int(rng.integers(num_cameras)), share, rng)


def _apart(one: sequences.MultiViewSequence, other: sequences.MultiViewSequence) -> float:
    """Measures how far two people are apart in the median frame, meters."""
    first, second = (np.asarray(each.pose_world)[:, skeletons.ROOT] for each in (one, other))
    return float(np.median(np.linalg.norm(first - second, axis=-1)))


def _first(footage: footages.Footage, num_cameras: int) -> footages.Footage:
    return dataclasses.replace(
        footage,
        camera_names=footage.camera_names[:num_cameras],
        camera=cameras.Camera(*(field[:num_cameras] for field in footage.camera)),
        **{
            name: getattr(footage, name)[:num_cameras]
            for name in ("keypoints_2d", "confidence", "detector_confidence", "distortion")
        },
    )


def judged(seen: Draw, kind: str) -> tuple[bool, set[str]]:
    """Checks footage with a mistake of a kind.

    Returns:
        Whether it is named, in its camera, and the names of causes that are not there.
    """
    plant, name = PLANTED[kind]
    found = [f for f in verdicts.reach(plant(seen)).found if f.name not in HARMLESS]
    camera = seen.clean.camera_names[seen.view]
    is_named = any(
        f.name == name and (camera in f.cameras) and (len(f.cameras) == 1 or "all" in kind)
        for f in found
    )
    return is_named, {f.name for f in found} - {name}


Counts = collections.Counter[tuple[str, float]]


def main(num_draws: int) -> None:
    """Writes a row per kind and share, and what is said of rigs without a mistake."""
    write = sys.stdout.write
    write("| planted | share | draws | named rightly | a wrong cause |\n|---|---|---|---|---|\n")
    cells = [(kind, share) for kind in PLANTED for share in SHARES]
    named: Counts = collections.Counter()
    wrong: Counts = collections.Counter()
    count = max(1, num_draws // len(cells))
    for number, (kind, share) in enumerate(cells):
        causes: list[str] = []
        for trial in range(count):
            seed = number * count + trial
            is_named, others = judged(draw(seed, 3 + seed % (MAX_CAMERAS - 2), share), kind)
            named[kind, share] += is_named
            wrong[kind, share] += bool(others)
            causes += sorted(others) if is_named else [f"{seed}:{others or 'nothing'}"]
        write(
            f"| {kind} | {share:.0%} | {count} | {named[kind, share]} | {wrong[kind, share]} "
            f"{' '.join(causes)} |\n"
        )
        sys.stdout.flush()
    total = count * len(cells)
    write(f"\nOf {total}: {sum(named.values())} named, {sum(wrong.values())} with a wrong cause.\n")
    loud: collections.Counter[str] = collections.Counter()
    num_clean = max(1, num_draws // 2)
    for seed in range(num_clean):
        clean = draw(10_000 + seed, 2 + seed % (MAX_CAMERAS - 1), 0.0).clean
        for finding in verdicts.reach(clean).found:
            loud[finding.name] += 1
            write(f"clean {seed}, {clean.num_views} cameras: {finding.sentence}\n")
    write(f"{num_clean} clean rigs of 2 to {MAX_CAMERAS} cameras: {dict(loud) or 'silent'}.\n")
    write_turned(num_clean)


def write_turned(count: int) -> None:
    """Writes what is said of rigs whose cameras all face elsewhere."""
    told: dict[int, list[str]] = {2: [], 3: []}
    for seed in range(count):
        clean = draw(20_000 + seed, 2 + seed % (MAX_CAMERAS - 1), 0.0).clean
        found = verdicts.reach(turn_all(clean, DEGREES[seed % len(DEGREES)], seed)).found
        names = {finding.name for finding in found} - HARMLESS - UNNAMED
        told[min(clean.num_views, 3)].append(" ".join(sorted(names)))
    for num_cameras, causes in told.items():
        wrong = [cause for cause in causes if cause]
        more = " and more" * (num_cameras > 2)
        sys.stdout.write(
            f"Of {len(causes)} rigs of {num_cameras}{more} cameras that face elsewhere by 1 to 10 "
            f"degrees {len(wrong)} are told a cause: {', '.join(wrong) or 'none'}.\n"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
