"""What goes wrong in some frames only: who is seen beside where the other cameras put them.

Medians over a recording do not move while less than half of it is wrong. So here every frame is
looked at by itself: each two cameras put the person somewhere, the place that most cameras agree
with is taken, and a camera that sees the person elsewhere is off in that frame.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import optimize
from scipy.spatial import transform

from keras_mvlift import skeletons
from keras_mvlift.diagnosis import findings, mistakes, residuals
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.geometry import triangulation

LIMBS = np.array(skeletons.H36M_17.left + skeletons.H36M_17.right)
"""The joints that have a side; if left and right are swapped, the median of them moves."""

TOLERANCE = (0.05, 0.12)
"""A camera is off beyond three times its own noise, but no nearer and no further than these;
shares of the person's size."""

MIN_LIMBS = 5
"""A view with fewer limb joints in common says nothing about a frame."""

MIN_SHARE = 0.04
"""A camera that is off in a smaller share of its frames has blunders, as every detector."""

MAX_SHARE = 0.9
"""What holds in a greater share of the frames holds in all of them."""

MIN_MENDED = 0.8
"""A cause must bring this share of a camera's frames that are off back to where they belong."""

MIN_SINE = 0.25
"""Of the angle between two rays; where it is less, they do not fix a joint's depth."""

_MIN_SHARE_NEAR = 0.15
_NOISES = 3.0
# So many pairs of a large rig are enough to find where most of its cameras put the person.
_MAX_PAIRS = 15


class Consensus(NamedTuple):
    """Where most cameras put the person, frame by frame.

    Attributes:
        points: `[T, L, 3]`, the limb joints, meters, world frame; NaN where unknown.
        error: `[V, T]`, median distance from them, shares of the person's size; NaN where the
            camera or all others see too little.
        tolerance: `[V]`, the error beyond which a camera is off.
        is_off: `[V, T]`; with two cameras both are.
    """

    points: np.ndarray
    error: np.ndarray
    tolerance: np.ndarray
    is_off: np.ndarray

    @property
    def share_off(self) -> np.ndarray:
        """The share of its frames, `[V]`, in which each camera is off."""
        return self.is_off.sum(axis=1) / np.maximum((~np.isnan(self.error)).sum(axis=1), 1)


def consensus(footage: footages.Footage) -> Consensus:
    """Finds who agrees in each frame."""
    pairs = residuals.pairs_of_views(footage.num_views)
    pairs = pairs[footages.spread(len(pairs), _MAX_PAIRS)]
    errors, is_fixed = _errors_of_pairs(footage, pairs)
    tolerance = np.full(footage.num_views, TOLERANCE[0])
    trust = np.zeros(footage.num_views)
    for _ in range(2):
        # Of hypotheses that as many agree with, the one of those who are mostly right wins.
        is_in = errors <= tolerance[:, np.newaxis]
        slack = np.where(is_in, errors / tolerance[:, np.newaxis], 0.0).sum(axis=1)
        # NaN is neither in nor out.
        votes = (is_in * (1 + trust[:, np.newaxis])).sum(axis=1) - slack / (2 * footage.num_views)
        best = votes.argmax(axis=0)
        chosen = errors[best, :, np.arange(footage.num_frames)].T
        noise = np.nan_to_num(_quantile(chosen, 0.25), nan=TOLERANCE[0])
        tolerance = np.clip(_NOISES * noise, *TOLERANCE)
        trust = (chosen <= tolerance[:, np.newaxis]).mean(axis=1) / 2
    members = chosen <= tolerance[:, np.newaxis]
    # Whoever is off is left out of the points, which two at an angle must fix.
    members &= (members.sum(axis=0) >= 2) & (members[pairs].all(axis=1) & is_fixed).any(axis=0)
    if footage.num_views == 2:
        members[:] = True
    points = triangulate(footage, members)
    error = distances(footage, points)
    is_off = error > tolerance[:, np.newaxis]
    return Consensus(points, error, tolerance, is_off)


def triangulate(footage: footages.Footage, members: np.ndarray) -> np.ndarray:
    """Triangulates limb joints from the cameras that are members, `[V, T]` bool.

    Returns:
        `[T, L, 3]`, meters, world frame; NaN where fewer than two saw a joint.
    """
    weights = footage.confidence[:, :, LIMBS] * members[..., np.newaxis]
    points, is_seen = triangulation.triangulate(
        footage.keypoints_2d[:, :, LIMBS].swapaxes(0, 1), weights.swapaxes(0, 1), footage.camera
    )
    return np.where(is_seen.numpy()[..., np.newaxis], points.numpy(), np.nan)


def project(footage: footages.Footage, points: np.ndarray) -> np.ndarray:
    """Projects points `[..., T, L, 3]` into all views, `[..., V, T, L, 2]`, pixels; NaN behind."""
    camera = footage.camera
    offset = points[..., np.newaxis, :, :, :] - camera.center[:, np.newaxis, np.newaxis]
    in_camera = offset @ camera.rotation.swapaxes(-1, -2)[:, np.newaxis]
    depth = np.where(in_camera[..., 2:] > 1e-6, in_camera[..., 2:], np.nan)
    intrinsics = camera.intrinsics[:, np.newaxis, np.newaxis]
    return in_camera[..., :2] / depth * intrinsics[..., [0, 1], [0, 1]] + intrinsics[..., :2, 2]


def distances(footage: footages.Footage, points: np.ndarray) -> np.ndarray:
    """Measures how far each camera sees limb joints from points `[..., T, L, 3]`.

    Returns:
        `[..., V, T]`, the median over the joints, shares of the person's size; NaN if too few.
    """
    image = project(footage, points)
    known = (footage.confidence[:, :, LIMBS] > 0) & np.isfinite(points).all(axis=-1)[
        ..., np.newaxis, :, :
    ]
    error = np.linalg.norm(image - footage.keypoints_2d[:, :, LIMBS], axis=-1)
    # Behind a camera nothing is seen at all.
    error = np.where(np.isfinite(error), error, np.inf)
    median = residuals.masked_median(error, known)
    enough = known.sum(axis=-1) >= MIN_LIMBS
    return np.where(enough, median / footage.person_size[:, np.newaxis], np.nan)


def _errors_of_pairs(
    footage: footages.Footage, pairs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measures `[P, V, T]` how far cameras are from where each two put the person.

    The other value, `[P, T]`, tells whether the two fix the person's place at all.
    """
    rays = footage.rays[:, :, LIMBS]
    ahead = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
    ahead = ahead @ footage.camera.rotation[:, np.newaxis]
    ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
    seen = footage.confidence[:, :, LIMBS] > 0
    first, second = pairs.T
    near, far = ahead[first], ahead[second]
    apart = (footage.camera.center[second] - footage.camera.center[first])[:, np.newaxis, np.newaxis]
    # The points of both rays that are nearest to each other; their middle.
    cosine = (near * far).sum(axis=-1)
    along_near, along_far = (near * apart).sum(axis=-1), (far * apart).sum(axis=-1)
    sine = np.maximum(1 - cosine**2, 1e-9)  # squared
    depth_near = (along_near - cosine * along_far) / sine
    depth_far = (cosine * along_near - along_far) / sine
    middle = (depth_near[..., np.newaxis] * near + depth_far[..., np.newaxis] * far + apart) / 2
    points = middle + footage.camera.center[first][:, np.newaxis, np.newaxis]
    both = seen[first] & seen[second]
    is_fixed = residuals.masked_median(sine, both) >= MIN_SINE**2
    known = both & (is_fixed | (footage.num_views == 2))[..., np.newaxis]
    return distances(footage, np.where(known[..., np.newaxis], points, np.nan)), is_fixed


def _quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Returns the quantile along the last axis of what is known; NaN where nothing is."""
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(values).sum(axis=-1)
    index = np.maximum(count - 1, 0) * share
    chosen = np.take_along_axis(ordered, index.astype(int)[..., np.newaxis], axis=-1)[..., 0]
    return np.where(count > 0, chosen, np.nan)


# Causes that hold in some frames, each tried by undoing it there.

Traced = Iterator[tuple[findings.Finding, footages.Footage]]


def trace(footage: footages.Footage) -> Traced:
    """Finds the causes for cameras that are off in some of their frames.

    Yields:
        Each cause, and the footage without it and those before it.
    """
    for cause in (_sides, _sides_of_all, _frozen, _out_of_step, _moved):
        seen = consensus(footage)
        # A clock may be wrong in all frames; all else needs a calibration that holds in others.
        most = 1.0 if cause is _out_of_step else MAX_SHARE
        if cause is not _out_of_step and (seen.tolerance >= TOLERANCE[1]).any():
            continue
        for view in _suspects(seen, most) if cause is not _sides_of_all else (0,):
            for finding, corrected in cause(footage, seen, int(view)):
                yield finding, corrected
                footage, seen = corrected, consensus(corrected)


def leftovers(footage: footages.Footage) -> Traced:
    """Tells of frames that no cause mends, and takes them out."""
    seen = consensus(footage)
    views = _suspects(seen, MAX_SHARE)
    if not len(views):
        return
    where = seen.is_off & np.isin(np.arange(footage.num_views), views)[:, np.newaxis]
    before = float(np.median(seen.error[where]))
    is_other = before > TOLERANCE[1]
    if not is_other and seen.share_off.max() < _MIN_SHARE_NEAR:
        return
    told = " and ".join(_in_frames(footage, view, where[view]) for view in views)
    total = where.any(axis=0).mean()
    others = "the other does" if footage.num_views == 2 else "the others do"
    what = "does not show whom" if is_other else f"is off by {before:.0%} of the person's size from what"
    corrected = footage.without(where)
    yield (
        _finding(
            "other_person" if is_other else "frames_off",
            footage,
            where,
            f"{told} {what} {others}; in {total:.0%} of the frames the cameras disagree. Leaving "
            "such frames out, they agree.",
            "Choose the same person in all cameras, or leave these frames out."
            if is_other
            else "Look at these frames: light, speed, what hides the person.",
            (before, None),
            severity=findings.ERROR if total > MAX_ODD else findings.WARNING,
        ),
        corrected,
    )


MAX_ODD = 0.5
"""Where the cameras disagree in more of the frames, it is an error."""


def _suspects(seen: Consensus, most: float) -> np.ndarray:
    return np.flatnonzero((seen.share_off >= MIN_SHARE) & (seen.share_off <= most))


def _in_frames(footage: footages.Footage, view: int, where: np.ndarray) -> str:
    """Says where a view is off: camera, share and first frame."""
    first = int(np.flatnonzero(where)[0])
    clip = f" of {footage.clips[footage.run[first]]}" if len(set(footage.clips)) > 1 else ""
    return (
        f"{footage.camera_names[view]}, in {where.mean():.0%} of its frames from frame "
        f"{footage.frame[first]}{clip} on,"
    )


def _finding(
    name: str,
    footage: footages.Footage,
    where: np.ndarray,
    sentence: str,
    remedy: str,
    figures: tuple[float, float | None],
    *,
    severity: str = "",
    **details: object,
) -> findings.Finding:
    """Makes a finding about views `[V, T]` bool; a majority of wrong frames makes it an error."""
    views = np.flatnonzero(where.any(axis=1))
    names = [footage.camera_names[view] for view in views]
    share = {name: float(where[view].mean()) for name, view in zip(names, views, strict=True)}
    first = {
        name: int(footage.frame[np.flatnonzero(where[view])[0]])
        for name, view in zip(names, views, strict=True)
    }
    is_error = where.any(axis=0).mean() > MAX_ODD
    return findings.Finding(
        name=name,
        severity=severity or (findings.ERROR if is_error else findings.WARNING),
        cameras=tuple(names),
        sentence=sentence,
        remedy=remedy,
        before=figures[0],
        after=figures[1],
        unit="share of the person's size",
        details={"share": share, "first_frame": first, **details},
    )


def _mended_error(
    footage: footages.Footage, seen: Consensus, view: int, mended: footages.Footage
) -> np.ndarray:
    """Returns how far, `[T]`, a camera would be off with what it has in other footage."""
    if footage.num_views > 2:
        return distances(mended, seen.points)[view]
    both = footage.mixed(mended, np.arange(2) == view)
    return distances(both, triangulate(both, np.ones((2, footage.num_frames), bool)))[view]


def _sides(footage: footages.Footage, seen: Consensus, view: int) -> Traced:
    swapped = mistakes.swap_sides(footage)
    error, before = _mended_error(footage, seen, view, swapped), seen.error[view]
    is_swapped = seen.is_off[view] & (error <= seen.tolerance[view]) & (error < before / 2)
    # From the side, left and right look alike: such frames tell nothing.
    is_right = ~seen.is_off[view] & (error > seen.tolerance[view])
    share = is_swapped.sum() / max((is_swapped | is_right).sum(), 1)
    if is_swapped.mean() < MIN_SHARE or share > MAX_SHARE:
        return
    if footage.num_views == 2:
        view = _turned_around(footage, is_swapped)
    where = (np.arange(footage.num_views) == view)[:, np.newaxis] & is_swapped
    figures = float(np.median(before[is_swapped])), float(np.median(error[is_swapped]))
    yield (
        _finding(
            "sides_swapped",
            footage,
            where,
            f"In {_in_frames(footage, view, where[view])} left and right are swapped. Undoing it "
            f"brings the camera from {figures[0]:.0%} of the person's size off to "
            f"{figures[1]:.1%}.",
            "Detect with a surer model, or swap the joints of these frames back.",
            figures,
        ),
        _swapped_at(footage, where),
    )


def _swapped_at(footage: footages.Footage, where: np.ndarray) -> footages.Footage:
    swapped = mistakes.swap_sides(footage)
    return footage.replace_images(
        np.where(where[..., np.newaxis, np.newaxis], swapped.keypoints_2d, footage.keypoints_2d),
        np.where(where[..., np.newaxis], swapped.confidence, footage.confidence),
    )


def _turned_around(footage: footages.Footage, frames: np.ndarray) -> int:
    """Tells which of two views has its sides swapped: undone, the person faces ahead."""
    facing = []
    for view in range(2):
        where = (np.arange(2) == view)[:, np.newaxis] & frames
        placed = residuals.reproject(_swapped_at(footage, where).frames(np.flatnonzero(frames)))
        facing.append(residuals.facing(placed.points, placed.is_seen))
    return int(np.argmax(facing))


def _sides_of_all(footage: footages.Footage, seen: Consensus, view: int) -> Traced:
    """Looks for stretches in which all cameras agree on a person who faces backwards."""
    del seen, view
    placed = residuals.reproject(footage)
    points = np.where(placed.is_seen[..., np.newaxis], placed.points, np.nan)
    skeleton = skeletons.H36M_17
    left, right = points[:, list(skeleton.left)], points[:, list(skeleton.right)]
    now, swapped = np.concatenate([left, right], axis=1), np.concatenate([right, left], axis=1)
    same, other = (
        _median(np.linalg.norm(part[1:] - now[:-1], axis=-1)) for part in (now, swapped)
    )
    turns = np.concatenate([[False], (other < same / 2) & (np.diff(footage.run) == 0)])
    group = 2 * footage.run + np.cumsum(turns) % 2
    facing = {
        number: residuals.facing(placed.points[group == number], placed.is_seen[group == number])
        for number in np.unique(group)
    }
    back = [number for number, value in facing.items() if value <= -residuals.MIN_FACING]
    frames = np.isin(group, back)
    ahead = max(facing.values())
    if not MIN_SHARE <= frames.mean() <= MAX_SHARE or ahead < residuals.MIN_FACING:
        return
    where = np.broadcast_to(frames, (footage.num_views, len(frames)))
    yield (
        _finding(
            "sides_swapped",
            footage,
            where,
            f"Left and right are swapped in all cameras at once, in {frames.mean():.0%} of the "
            f"frames from frame {footage.frame[np.flatnonzero(frames)[0]]} on: there the nose is "
            "behind the shoulders and the knees bend backwards.",
            "Detect with a surer model, or swap the joints of these frames back.",
            (min(facing[number] for number in back), ahead),
        ),
        _swapped_at(footage, where),
    )


def _median(values: np.ndarray) -> np.ndarray:
    return residuals.masked_median(values, np.isfinite(values))


MAX_STILL = 0.002
"""A picture whose joints move by less from frame to frame is the same; of the person's size."""


def _frozen(footage: footages.Footage, seen: Consensus, view: int) -> Traced:
    points = footage.keypoints_2d[view][:, LIMBS]
    known = footage.confidence[view][:, LIMBS] > 0
    step = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    step = residuals.masked_median(step, known[1:] & known[:-1]) / footage.person_size[view]
    still = np.concatenate([[False], (step <= MAX_STILL) & (np.diff(footage.run) == 0)])
    # Stretches of a still picture in which the others see the person go on.
    stretch = np.cumsum(~still)
    frames = still & np.isin(stretch, stretch[seen.is_off[view] & still])
    if frames.mean() < MIN_SHARE or (seen.is_off[view] & frames).mean() < MIN_SHARE / 2:
        return
    where = (np.arange(footage.num_views) == view)[:, np.newaxis] & frames
    corrected = footage.without(where)
    yield (
        _finding(
            "camera_frozen",
            footage,
            where,
            f"{_in_frames(footage, view, where[view])} shows the same picture again and again "
            "while the person moves on.",
            "Leave these frames out; look for a camera or a file that stalls.",
            (float(np.nanmedian(seen.error[view][frames])), None),
        ),
        corrected,
    )


# Cameras whose clock runs at another rate, or that lose frames: their offset changes.

MIN_CHANGE = 2
"""Frames by which an offset must change from the start to the end of a recording."""

_MAX_OFFSET = 250
_CAP = 0.15
# What a frame costs that is out of the recording: more than a right one, less than a wrong one.
_OUTSIDE = 0.03
_STEP_COST = 0.01
_MAX_MOMENTS = 100


def _out_of_step(footage: footages.Footage, seen: Consensus, view: int) -> Traced:
    offsets, start, end, seconds = offsets_over_time(footage, seen, view)
    if abs(end - start) < MIN_CHANGE or not np.isfinite(end - start):
        return
    every = np.zeros((footage.num_views, footage.num_frames), int)
    every[view] = offsets
    corrected = footage.shifted(every)
    error = _mended_error(footage, seen, view, corrected)
    known = np.isfinite(error)
    share = (error[known] > seen.tolerance[view]).mean() if known.any() else 1.0
    if share > max(MIN_SHARE, (1 - MIN_MENDED) * seen.share_off[view]):
        return
    name, rate = footage.camera_names[view], footage.frame_rate + (end - start) / seconds
    figures = float(np.nanmedian(seen.error[view])), float(np.median(error[known]))
    yield (
        _finding(
            "time_drift",
            footage,
            (np.arange(footage.num_views) == view)[:, np.newaxis] & seen.is_off,
            f"{name} does not keep time with the others: {_off(start)} at the start and "
            f"{_off(end)} at the end, as if it ran at {rate:.1f} frames a second instead of "
            f"{footage.frame_rate:g}, or lost frames that were numbered on. Undoing it leaves "
            f"{share:.0%} of its frames off.",
            "Give its frames time stamps (`timestamps`) or their own numbers; a constant shift "
            "does not mend it.",
            figures,
            severity=findings.ERROR,
            offset_at_start=float(start),
            offset_at_end=float(end),
            frame_rate=float(rate),
        ),
        corrected,
    )


def _off(offset: float) -> str:
    if abs(offset) < 0.5:
        return "0 frames off"
    return f"{abs(offset):.0f} frame{'s' * (abs(offset) >= 1.5)} {'late' if offset > 0 else 'early'}"


def offsets_over_time(
    footage: footages.Footage, seen: Consensus, view: int
) -> tuple[np.ndarray, float, float, float]:
    """Follows a camera's time offset through the recording.

    Returns:
        The offset in each frame `[T]`, frames, positive where the camera is late; at the start
        and at the end of the recording; and the seconds between these.
    """
    points = triangulate(footage, ~seen.is_off & (np.arange(len(seen.is_off)) != view)[:, np.newaxis])
    every = np.zeros(footage.num_frames, int)
    ends = []
    for run in np.unique(footage.run):
        frames = np.flatnonzero(footage.run == run)
        moments = frames[footages.spread(len(frames), _MAX_MOMENTS)]
        reach = min(_MAX_OFFSET, len(frames) - 1)
        cost, inside = _costs(footage, points, view, frames, moments, reach)
        path = _cheapest(cost)
        every[frames] = np.interp(frames, moments, path - reach).round()
        row = np.arange(len(path))
        told = np.flatnonzero(inside[row, path] & (cost[row, path] <= seen.tolerance[view]))
        if len(told):
            part = max(1, len(told) // 10)
            for chosen in (told[:part], told[-part:]):
                ends.append((np.mean(moments[chosen]), np.median(path[chosen] - reach)))
    if not ends:
        return every, np.nan, np.nan, 1.0
    (first, start), (last, end) = ends[0], ends[-1]
    return every, float(start), float(end), float(max(last - first, 1) / footage.frame_rate)


def _costs(
    footage: footages.Footage,
    points: np.ndarray,
    view: int,
    frames: np.ndarray,
    moments: np.ndarray,
    reach: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Measures how far a camera is off at some moments if moved by -reach ... reach frames.

    Returns:
        `[M, 2 reach + 1]`, shares of the person's size, and whether the frame was filmed.
    """
    index = moments[:, np.newaxis] + np.arange(-reach, reach + 1)
    inside = (index >= frames[0]) & (index <= frames[-1])
    index = np.clip(index, frames[0], frames[-1])
    seen = footage.confidence[view][:, LIMBS] > 0
    if footage.num_views > 2:
        image = project(footage, points[moments])[view]
        error = np.linalg.norm(
            footage.keypoints_2d[view][:, LIMBS][index] - image[:, np.newaxis], axis=-1
        )
        error, known = error / footage.person_size[view], np.isfinite(image[..., 0])
    else:
        error, known = _epipolar_errors(footage, view, index, moments)
    median = residuals.masked_median(error, known[:, np.newaxis] & seen[index])
    median = np.minimum(np.nan_to_num(median, nan=_OUTSIDE), _CAP)
    return np.where(inside, median, _OUTSIDE), inside


def _epipolar_errors(
    footage: footages.Footage, view: int, index: np.ndarray, moments: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    views = footage.views(np.array([1 - view, view]))
    first, second = (type(views.camera)(*(f[i : i + 1] for f in views.camera)) for i in (0, 1))
    rays = footage.rays[:, :, LIMBS]
    near = np.broadcast_to(rays[1 - view][moments][:, np.newaxis], (*index.shape, len(LIMBS), 2))
    matrix = residuals.essential(first, second)
    far = rays[view][index].reshape(1, -1, 2)
    _, off = residuals.epipolar_distances(matrix, near.reshape(1, -1, 2), far)
    off = off.reshape(*index.shape, -1) / views.person_size[1]
    return off, footage.confidence[1 - view][moments][:, LIMBS] > 0


def _cheapest(cost: np.ndarray) -> np.ndarray:
    """Finds the path `[M]` through columns of `[M, S]` that costs least; each step aside costs."""
    columns = np.arange(cost.shape[1])
    aside = _STEP_COST * columns
    total, came = cost[0], []
    for row in cost[1:]:
        low, high = total - aside, (total + aside)[::-1]
        up, down = np.minimum.accumulate(low), np.minimum.accumulate(high)
        from_below = np.maximum.accumulate(np.where(low == up, columns, 0))
        from_above = columns[-1] - np.maximum.accumulate(np.where(high == down, columns, 0))[::-1]
        up, down = up + aside, down[::-1] - aside
        came.append(np.where(up <= down, from_below, from_above))
        total = np.minimum(up, down) + row
    path = [int(total.argmin())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return np.array(path[::-1])


# Cameras that were bumped: until a frame they fit, from then on they look elsewhere.

_MAX_FIT_FRAMES = 60


def _moved(footage: footages.Footage, seen: Consensus, view: int) -> Traced:
    off = np.flatnonzero(seen.is_off[view])
    if footage.num_views == 2 or not _is_stretch(seen.is_off[view]):
        return
    chosen = off[footages.spread(len(off), _MAX_FIT_FRAMES)]
    for with_place in (False, True):
        rotation, center = _fit(footage, seen.points, view, chosen, with_place)
        camera = footage.camera
        turned, stands = camera.rotation.copy(), camera.center.copy()
        turned[view], stands[view] = rotation, center
        moved = footage.replace_camera(rotation=turned, center=stands)
        error = distances(moved, seen.points)[view]
        if (error[off] <= seen.tolerance[view]).mean() >= MIN_MENDED:
            break
    else:
        return
    where = (np.arange(footage.num_views) == view)[:, np.newaxis] & seen.is_off
    angle = transform.Rotation.from_matrix(rotation @ camera.rotation[view].T).magnitude()
    far = float(np.linalg.norm(center - camera.center[view]))
    told = f"turned by {np.degrees(angle):.1f} degrees" + (f" and {far:.2f} m away" if far else "")
    figures = float(np.median(seen.error[view][off])), float(np.median(error[off]))
    yield (
        _finding(
            "camera_moved",
            footage,
            where,
            f"{footage.camera_names[view]} fits until frame {footage.frame[off[0]]}; from there "
            f"on, in {where[view].mean():.0%} of its frames, it is {told}. Undoing it brings it "
            f"from {figures[0]:.0%} of the person's size off to {figures[1]:.1%}.",
            "Somebody bumped the camera: end the clip there, and calibrate anew for the rest.",
            figures,
            turned_degrees=float(np.degrees(angle)),
            moved_m=far,
        ),
        footage.without(where),
    )


def _is_stretch(is_off: np.ndarray) -> bool:
    """Tells whether frames are one stretch, more or less."""
    off = np.flatnonzero(is_off)
    return bool(off[0] > 0 and is_off[off[0] : off[-1] + 1].mean() >= MIN_MENDED)


def _fit(
    footage: footages.Footage, points: np.ndarray, view: int, frames: np.ndarray, with_place: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Fits rotation and center of a camera to what it saw of known points in some frames."""
    known = np.isfinite(points[frames]).all(axis=-1)
    known &= footage.confidence[view][frames][:, LIMBS] > 0
    target = footage.rays[view][frames][:, LIMBS][known]
    camera = footage.camera
    start = (points[frames][known] - camera.center[view]) @ camera.rotation[view].T

    def off(change: np.ndarray) -> np.ndarray:
        x, y, z = (transform.Rotation.from_rotvec(change[:3]).apply(start) + change[3:]).T
        return (np.stack([x, y], axis=-1) / np.maximum(z, 0.1)[:, np.newaxis] - target).ravel()

    free = 6 if with_place else 3
    given = np.zeros(6)
    solved = optimize.least_squares(
        lambda change: off(np.concatenate([change, given[free:]])), given[:free], loss="soft_l1",
        f_scale=0.01, max_nfev=50,
    ).x
    turn = transform.Rotation.from_rotvec(solved[:3]).as_matrix()
    shift = np.concatenate([solved, given[free:]])[3:]
    rotation = turn @ camera.rotation[view]
    # x' = turn (R (x - c)) + shift, so the center moves by -R'^T shift.
    return rotation, camera.center[view] - rotation.T @ shift
