"""Causes that hold in some frames of a rig only, each tried by undoing it there."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy import optimize
from scipy.spatial import transform

from keras_mvlift.datasets import sequences
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import mistakes, moments, residuals

MIN_SHARE = 0.06
"""A camera that is off in a smaller share of its frames has blunders, as every detector."""

MAX_SHARE = 0.9
"""What holds in a greater share of the frames holds in all of them."""

MIN_MENDED = 0.8
"""A cause must bring this share of a camera's frames that are off back to where they belong,"""

MAX_NOISES = 3.0
"""and what it brings back must be off by no more than so many times the camera's noise."""

# Tried is what is off in fewer frames, too: a frozen picture is wrong only once people move.
_TRIED_SHARE = 0.03
_MIN_SHARE_NEAR = 0.15
Traced = Iterator[tuple[footages.Finding, footages.Footage]]


def trace(footage: footages.Footage) -> Traced:
    """Finds the causes for cameras that are off in some of their frames.

    Yields:
        Each cause, and the footage without it and those before it.
    """
    seen = moments.consensus(footage)
    for cause in (_frozen, _lasting, _sides, _sides_of_all):
        # A clock may be wrong in all frames; all else needs a calibration that holds in others.
        is_any = cause in (_frozen, _lasting)
        if not is_any and (seen.tolerance >= moments.TOLERANCE[1]).any():
            continue
        suspects = _suspects(seen, _TRIED_SHARE, 1.0 if is_any else MAX_SHARE)
        views = {_sides_of_all: [0], _frozen: range(footage.num_views)}.get(cause, suspects)
        for view in views:
            for finding, corrected in cause(footage, seen, int(view)):
                yield finding, corrected
                footage, seen = corrected, moments.consensus(corrected)


def _lasting(footage: footages.Footage, seen: moments.Consensus, view: int) -> Traced:
    """Looks for a wrong clock and a bumped camera, and takes what explains the view better."""
    found = [*out_of_step(footage, seen, view), *_moved(footage, seen, view)]
    if found and (seen.tolerance < moments.TOLERANCE[1]).all():
        # People who come and go are seen the wrong way round at some other time, too.
        found += (
            each
            for each in _sides(footage, seen, view)
            if moments.consensus(each[1]).share_off[view] <= MIN_SHARE
        )
    if found:
        yield min(found, key=lambda each: each[0].after or 0.0)


def leftovers(footage: footages.Footage) -> Traced:
    """Tells of frames that no cause mends, and takes them out."""
    seen = moments.consensus(footage)
    views = _suspects(seen, MIN_SHARE, MAX_SHARE)
    if not len(views):
        return
    where = seen.is_off & np.isin(np.arange(footage.num_views), views)[:, np.newaxis]
    before = float(np.median(seen.error[where]))
    is_other = before > moments.TOLERANCE[1]
    if not is_other and seen.share_off.max() < _MIN_SHARE_NEAR:
        return
    told = " and ".join(_in_frames(footage, view, where[view]) for view in views)
    total = where.any(axis=0).mean()
    others = "the other does" if footage.num_views == 2 else "the others do"
    name, what = "frames_off", f"is off by {before:.0%} of the person's size from what"
    remedy = "Look at these frames: light, speed, what hides the person."
    if is_other:
        name, what = "other_person", "does not show whom"
        remedy = "Choose the same person in all cameras, or leave these frames out."
    sentence = (
        f"{told} {what} {others}; in {total:.0%} of the frames the cameras disagree. Leaving "
        "such frames out, they agree."
    )
    yield _finding(name, footage, where, sentence, remedy, (before, None)), footage.without(where)


MAX_ODD = 0.5
"""Where the cameras disagree in more of the frames, it is an error."""


def _suspects(seen: moments.Consensus, least: float, most: float) -> np.ndarray:
    return np.flatnonzero((seen.share_off >= least) & (seen.share_off <= most))


def _of_view(footage: footages.Footage, view: int, frames: np.ndarray) -> np.ndarray:
    """Returns frames `[T]` of one view as views `[V, T]`, bool."""
    return (np.arange(footage.num_views) == view)[:, np.newaxis] & frames


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
    **details: object,
) -> footages.Finding:
    """Makes a finding about views `[V, T]` bool; a majority of wrong frames makes it an error."""
    is_in = where.any(axis=1)
    views = dict(zip(footage.named(is_in), where[is_in], strict=True))
    share = {name: float(frames.mean()) for name, frames in views.items()}
    first = {name: int(footage.frame[frames.argmax()]) for name, frames in views.items()}
    is_error = where.any(axis=0).mean() > MAX_ODD
    return footages.Finding(
        name=name,
        severity=footages.ERROR if is_error else footages.WARNING,
        cameras=tuple(views),
        sentence=sentence,
        remedy=remedy,
        before=figures[0],
        after=figures[1],
        unit="share of the person's size",
        details={"share": share, "first_frame": first, **details},
    )


def _is_noise(
    footage: footages.Footage, seen: moments.Consensus, view: int, error: np.ndarray
) -> bool:
    """Tells whether errors, in places found without the camera, are those of its detector."""
    as_it_is = _mended_error(footage, seen, view, footage)
    usual = as_it_is[(as_it_is <= seen.tolerance[view]) & ~seen.is_off[view]]
    return bool(len(usual) and np.median(error) <= MAX_NOISES * np.percentile(usual, 25))


def _mended_error(
    footage: footages.Footage, seen: moments.Consensus, view: int, mended: footages.Footage
) -> np.ndarray:
    """Returns how far, `[T]`, a camera would be off with what it has in other footage."""
    is_it = np.arange(footage.num_views) == view
    both = footage.mixed(mended, is_it)
    members = ~seen.is_off & ~is_it[:, np.newaxis]
    # Two cameras have nothing but each other.
    return moments.distances(both, moments.placed(both, members, seen.fixes))[view]


MIN_SIDES = 0.025  # By so much swapped sides must be off to be told; shares of the person's size.


def _sides(footage: footages.Footage, seen: moments.Consensus, view: int) -> Traced:
    swapped = mistakes.swap_sides(footage)
    error, before = (_mended_error(footage, seen, view, part) for part in (swapped, footage))
    # From the side, left and right look alike: such frames tell nothing.
    is_told = np.maximum(error, before) > MIN_SIDES
    is_swapped = is_told & (error <= seen.tolerance[view]) & (error < before / 2)
    is_right = is_told & (before <= seen.tolerance[view]) & (before < error / 2)
    share = is_swapped.sum() / max((is_swapped | is_right).sum(), 1)
    if not MIN_SHARE <= share <= MAX_SHARE or not _is_noise(footage, seen, view, error[is_swapped]):
        return
    if footage.num_views == 2:
        # Undone in the one that has it, the person faces ahead.
        both = (_swapped_at(footage, _of_view(footage, each, is_swapped)) for each in range(2))
        frames = np.flatnonzero(is_swapped)
        faced = [residuals.reproject(part.frames(frames)).points for part in both]
        view = int(np.argmax([residuals.facing(points) for points in faced]))
    where = _of_view(footage, view, is_swapped)
    figures = float(np.median(before[is_swapped])), float(np.median(error[is_swapped]))
    sentence = (
        f"In {_in_frames(footage, view, where[view])} left and right are swapped. Undoing it "
        f"brings the camera from {figures[0]:.0%} of the person's size off to {figures[1]:.1%}."
    )
    finding = _finding("sides_swapped", footage, where, sentence, _SWAP_BACK, figures)
    yield finding, _swapped_at(footage, where)


_SWAP_BACK = "Detect with a surer model, or swap the joints of these frames back."


def _swapped_at(footage: footages.Footage, where: np.ndarray) -> footages.Footage:
    swapped = mistakes.swap_sides(footage)
    return footage.replace_images(
        np.where(where[..., np.newaxis, np.newaxis], swapped.keypoints_2d, footage.keypoints_2d),
        np.where(where[..., np.newaxis], swapped.confidence, footage.confidence),
    )


def _sides_of_all(footage: footages.Footage, seen: moments.Consensus, view: int) -> Traced:
    """Looks for stretches in which all cameras agree on a person who faces backwards."""
    del seen, view
    points = residuals.reproject(footage).points
    now = points[:, moments.LIMBS]
    swapped = points[:, np.roll(moments.LIMBS, len(moments.LIMBS) // 2)]
    same, other = (
        residuals.masked_median(np.linalg.norm(part[1:] - now[:-1], axis=-1))
        for part in (now, swapped)
    )
    turns = np.concatenate([[False], (other < same / 2) & (np.diff(footage.run) == 0)])
    group = 2 * footage.run + np.cumsum(turns) % 2
    facing = {number: residuals.facing(points[group == number]) for number in np.unique(group)}
    back = [number for number, value in facing.items() if value <= -residuals.MIN_FACING]
    frames = np.isin(group, back)
    ahead = max(facing.values())
    if not MIN_SHARE <= frames.mean() <= MAX_SHARE or ahead < residuals.MIN_FACING:
        return
    where = np.broadcast_to(frames, (footage.num_views, len(frames)))
    sentence = (
        f"Left and right are swapped in all cameras at once, in {frames.mean():.0%} of the "
        f"frames from frame {footage.frame[np.flatnonzero(frames)[0]]} on: there the nose is "
        "behind the shoulders and the knees bend backwards."
    )
    figures = min(facing[number] for number in back), ahead
    finding = _finding("sides_swapped", footage, where, sentence, _SWAP_BACK, figures)
    yield finding, _swapped_at(footage, where)


MAX_STILL = 1e-6
"""Joints that move by less from frame to frame are of the same picture; of the person's size."""

MIN_STILL_SECONDS = 0.25
"""A shorter stretch of one picture is a hitch."""


def _frozen(footage: footages.Footage, seen: moments.Consensus, view: int) -> Traced:
    points = footage.keypoints_2d[:, :, moments.LIMBS]
    known = footage.confidence[:, :, moments.LIMBS] > 0
    step = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    step = residuals.masked_median(step, known[:, 1:] & known[:, :-1])
    is_still = step <= MAX_STILL * footage.person_size[:, np.newaxis]
    # What stands still for all is a slow detector or a statue.
    is_still = is_still[view] & ~np.delete(is_still, view, axis=0).all(axis=0)
    still = np.concatenate([[False], is_still & (np.diff(footage.run) == 0)])
    _, stretch, length = np.unique(np.cumsum(~still), return_inverse=True, return_counts=True)
    frames = still & (length[stretch] > MIN_STILL_SECONDS * footage.frame_rate)
    if frames.mean() < MIN_SHARE:
        return
    where = _of_view(footage, view, frames)
    finding = _finding(
        "camera_frozen",
        footage,
        where,
        f"{_in_frames(footage, view, frames)} shows the same picture again and again while the "
        "person moves on.",
        "Leave these frames out; look for a camera or a file that stalls.",
        (float(np.nanmedian(seen.error[view][frames])), None),
    )
    yield finding, footage.without(where)


# Cameras whose clock runs at another rate, or that lose frames: their offset changes.

MIN_CHANGE = 2
"""Frames by which an offset must change from the start to the end of a recording."""

MIN_ONE_WAY = 0.6
"""The share of all changes of an offset that must go the same way."""

MIN_FOUND = 0.6  # The share of the frames that are off that must be found at another time.

MAX_LEFT = 0.08
"""The share of all frames that may be off afterwards; where more were before, of what was found."""

MIN_BETTER = 1.15
"""By so much the camera must agree better: a free path betters any camera by a tenth."""

_MAX_OFFSET = 250
_CAP = 0.15
# What a frame costs that is out of the recording: more than a right one, less than a wrong one.
_OUTSIDE = 0.06
_STEP_COST = 0.01
_MAX_MOMENTS = 100


def out_of_step(footage: footages.Footage, seen: moments.Consensus, view: int) -> Traced:
    """Looks for an offset of a camera that changes in the course of the recording."""
    offsets, start, end, seconds = offsets_over_time(footage, seen, view)
    steps = np.diff(offsets)[np.diff(footage.run) == 0]
    # A clock goes one way; what else is off wants to go back and forth.
    is_one_way = abs(steps.sum()) >= MIN_ONE_WAY * np.abs(steps).sum()
    if not is_one_way or not MIN_CHANGE <= abs(end - start) < np.inf:
        return
    is_it = _of_view(footage, view, np.ones(1, bool))
    corrected = footage.shifted(is_it * offsets)
    error = _mended_error(footage, seen, view, corrected)
    known, off = np.isfinite(error), seen.is_off[view]
    is_mended = known & (error <= seen.tolerance[view])
    # At an end, what a camera should have seen may not have been filmed.
    if (off & is_mended).sum() < MIN_FOUND * off.sum():
        return
    # A constant shift is no drift: at an end the path follows what chance has there.
    for other in (footage.shifted(is_it * int(np.median(offsets))), footage):
        otherwise = _mended_error(footage, seen, view, other)
        both = known & np.isfinite(otherwise)
        figures = float(np.median(otherwise[both])), float(np.median(error[both]))
        if figures[1] * MIN_BETTER > figures[0]:
            return
    share = 1 - is_mended.sum() / max(known.sum(), 1)
    most = max(MAX_LEFT, (1 - MIN_FOUND) * seen.share_off[view])
    if share > most or not _is_noise(footage, seen, view, error[known]):
        return
    if (off & known).mean() >= _TRIED_SHARE:
        # What else explains the camera is measured where it is off, too.
        figures = float(np.nanmedian(seen.error[view][off])), float(np.median(error[off & known]))
    rate = footage.frame_rate + (end - start) / seconds
    where = is_it & (offsets != 0)
    yield _drift(footage, where, (start, end, rate), share, figures), corrected


def _drift(
    footage: footages.Footage,
    where: np.ndarray,
    clock: tuple[float, float, float],
    share: float,
    figures: tuple[float, float],
) -> footages.Finding:
    (name, *_), (start, end, rate) = footage.named(where.any(axis=1)), clock
    sentence = (
        f"{name} does not keep time with the others: {_off(start)} at the start and "
        f"{_off(end)} at the end, as if it ran at {rate:.1f} frames a second instead of "
        f"{footage.frame_rate:g}, or lost frames that were numbered on. Undoing it leaves "
        f"{share:.0%} of its frames off."
    )
    remedy = "Give its frames time stamps (`timestamps`) or their own numbers; a constant shift "
    remedy += "does not mend it."
    details = {"offset_at_start": start, "offset_at_end": end, "frame_rate": rate}
    finding = _finding("time_drift", footage, where, sentence, remedy, figures, **details)
    return dataclasses.replace(finding, severity=footages.ERROR)


def _off(offset: float) -> str:
    if abs(offset) < 0.5:
        return "0 frames off"
    plural = "s" * (abs(offset) >= 1.5)
    return f"{abs(offset):.0f} frame{plural} {'late' if offset > 0 else 'early'}"


def offsets_over_time(
    footage: footages.Footage, seen: moments.Consensus, view: int
) -> tuple[np.ndarray, float, float, float]:
    """Follows a camera's time offset through the recording.

    Returns:
        The offset in each frame `[T]`, frames, positive where the camera is late; that at the start
        and at the end of the recording; and the seconds between these.
    """
    members = ~seen.is_off & (np.arange(footage.num_views) != view)[:, np.newaxis]
    points = moments.placed(footage, members, seen.fixes)
    every = np.zeros(footage.num_frames, int)
    ends = []
    for run in np.unique(footage.run):
        frames = np.flatnonzero(footage.run == run)
        instants = frames[sequences.spread(len(frames), _MAX_MOMENTS)]
        reach = min(_MAX_OFFSET, len(frames) - 1)
        cost, inside = _costs(footage, points, view, frames, instants, reach)
        path = cheapest(cost)
        every[frames] = np.interp(frames, instants, path - reach).round()
        row = np.arange(len(path))
        told = np.flatnonzero(inside[row, path] & (cost[row, path] <= seen.tolerance[view]))
        if len(told):
            part = max(1, len(told) // 10)
            for chosen in (told[:part], told[-part:]):
                ends.append((np.mean(instants[chosen]), np.median(path[chosen] - reach)))
    if not ends:
        return every, np.nan, np.nan, 1.0
    (first, start), (last, end) = ends[0], ends[-1]
    return every, float(start), float(end), float(max(last - first, 1) / footage.frame_rate)


def _costs(
    footage: footages.Footage,
    points: np.ndarray,
    view: int,
    frames: np.ndarray,
    instants: np.ndarray,
    reach: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Measures how far a camera is off at `M` instants if moved by -reach ... reach frames.

    Returns:
        `[M, 2 reach + 1]`, shares of the person's size, and whether the frame was filmed.
    """
    index = instants[:, np.newaxis] + np.arange(-reach, reach + 1)
    inside = (index >= frames[0]) & (index <= frames[-1])
    index = np.clip(index, frames[0], frames[-1])
    seen = footage.confidence[:, :, moments.LIMBS] > 0
    if footage.num_views > 2:
        image = moments.project(footage, points[instants])[view]
        shown = footage.keypoints_2d[view][:, moments.LIMBS][index]
        error = np.linalg.norm(shown - image[:, np.newaxis], axis=-1) / footage.person_size[view]
        known = np.isfinite(image[..., 0])
    else:
        rays = footage.rays[:, :, moments.LIMBS]
        there = rays[view][index]
        here = np.broadcast_to(rays[1 - view][instants][:, np.newaxis], there.shape)
        near, far = (
            footage.views(np.array([of]))._replace(rays=given.reshape(1, -1, 2))
            for of, given in ((1 - view, here), (view, there))
        )
        error = np.abs(residuals.line_distances(near, far)[1]).reshape(there.shape[:-1])
        known = seen[1 - view][instants]
    median = residuals.masked_median(error, known[:, np.newaxis] & seen[view][index])
    median = np.minimum(np.nan_to_num(median, nan=_OUTSIDE), _CAP)
    return np.where(inside, median, _OUTSIDE), inside


def cheapest(cost: np.ndarray) -> np.ndarray:
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


def _moved(footage: footages.Footage, seen: moments.Consensus, view: int) -> Traced:
    stretch = _longest(seen.is_off[view])
    off = np.flatnonzero(stretch & seen.is_off[view])
    if not _may_be_moved(footage, seen, view, stretch):
        return
    chosen = off[sequences.spread(len(off), _MAX_FIT_FRAMES)]
    for num_free in (3, 6):
        moved = _fit(footage, seen.points, view, chosen, num_free)
        error = moments.distances(moved, seen.points)[view]
        is_back = (error[off] <= seen.tolerance[view]).mean() >= MIN_MENDED
        if is_back and _is_noise(footage, seen, view, error[off]):
            break
    else:
        return
    where = _of_view(footage, view, stretch)
    (_, turned, center), (_, rotation, stood) = moved.camera, footage.camera
    angle = transform.Rotation.from_matrix(turned[view] @ rotation[view].T).magnitude()
    far = float(np.linalg.norm(center[view] - stood[view]))
    told = f"turned by {np.degrees(angle):.1f} degrees" + (f" and {far:.2f} m away" if far else "")
    figures = float(np.median(seen.error[view][off])), float(np.median(error[off]))
    finding = _finding(
        "camera_moved",
        footage,
        where,
        f"{footage.camera_names[view]} fits until frame {footage.frame[off[0]]}; from there "
        f"on, in {stretch.mean():.0%} of its frames, it is {told}. Undoing it brings it "
        f"from {figures[0]:.0%} of the person's size off to {figures[1]:.1%}.",
        "Somebody bumped the camera: end the clip there, and calibrate anew for the rest.",
        figures,
        turned_degrees=float(np.degrees(angle)),
        moved_m=far,
    )
    yield finding, footage.without(where)


def _may_be_moved(
    footage: footages.Footage, seen: moments.Consensus, view: int, stretch: np.ndarray
) -> bool:
    """Tells whether a camera that fits before is off in a stretch `[T]`, and hardly elsewhere."""
    num_off, num_in = seen.is_off[view].sum(), (stretch & seen.is_off[view]).sum()
    return bool(
        footage.num_views > 2
        and (seen.tolerance < moments.TOLERANCE[1]).all()
        and seen.share_off[view] <= MAX_SHARE
        and not stretch[0]
        and num_in >= max(MIN_SHARE * footage.num_frames, MIN_FOUND * num_off)
        and num_in >= MIN_MENDED * stretch.sum()
    )


def _longest(is_off: np.ndarray) -> np.ndarray:
    """Finds the stretch of frames that holds most of those that are off, and few others."""
    total = np.concatenate([[0], np.cumsum(np.where(is_off, 1, -2))])
    gain = total - np.minimum.accumulate(total)
    end = int(gain.argmax())
    start = int(np.flatnonzero(total[: end + 1] == total[: end + 1].min())[-1])
    frames = np.arange(len(is_off))
    return (frames >= start) & (frames < end)


def _fit(
    footage: footages.Footage, points: np.ndarray, view: int, frames: np.ndarray, num_free: int
) -> footages.Footage:
    """Fits a camera's rotation, of 6 free numbers its center, too, to what it saw of points."""
    known = np.isfinite(points[frames]).all(axis=-1)
    known &= footage.confidence[view][frames][:, moments.LIMBS] > 0
    target = footage.rays[view][frames][:, moments.LIMBS][known]
    _, rotation, center = footage.camera
    start = (points[frames][known] - center[view]) @ rotation[view].T

    def off(free: np.ndarray) -> np.ndarray:
        change = np.pad(free, (0, 6 - num_free))
        x, y, z = (transform.Rotation.from_rotvec(change[:3]).apply(start) + change[3:]).T
        return (np.stack([x, y], axis=-1) / np.maximum(z, 0.1)[:, np.newaxis] - target).ravel()

    options = {"loss": "soft_l1", "f_scale": 0.01, "max_nfev": 50}
    solved = np.pad(optimize.least_squares(off, np.zeros(num_free), **options).x, (0, 6 - num_free))
    rotation, center = rotation.copy(), center.copy()
    rotation[view] = transform.Rotation.from_rotvec(solved[:3]).as_matrix() @ rotation[view]
    # x' = turn (R (x - c)) + shift, so the center moves by -R'^T shift.
    center[view] -= rotation[view].T @ solved[3:]
    return footage.replace_camera(rotation=rotation, center=center)
