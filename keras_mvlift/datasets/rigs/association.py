"""Who is who in several cameras: people told apart across views and followed over time.

A detector numbers the people of each image anew, in each camera by itself. Here the people that
were tracked so far are matched to the detections of each view, at the least cost over all of them
(`scipy.optimize.linear_sum_assignment`); whoever is left over is found anew where the rays of two
views meet, and joined by the views that agree. A view in which two people look alike to a
prediction is left out for that instant, rather than guessed.

Errors are told in units of the person: the distance of two rays of a joint, over the spread of the
joints that the view sees of them.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize

from keras_mvlift.datasets.rigs import calibrations, detections
from keras_mvlift.geometry import cameras, lenses, triangulation

MAX_PEOPLE = 12  # The most people of an image that are looked at, the most surely seen first.

_MIN_JOINTS = 5  # A person is told by at least so many joints.
# Of a person's spread, which is a third of the height: about the breadth of a hand at the first.
_MAX_ERROR = 0.3
_MAX_STEP = 0.6  # The same for a prediction, as people move between frames.
# Another detection that fits this many times worse, or by this much, could be meant as well.
_LIKE_FACTOR, _LIKE_ERROR = 2.0, 0.15
_SAME = 0.15  # Two detections of one view that are so alike are of one person.
# For so long a person may be out of sight before they count as somebody new.
_MAX_GAP_SECONDS = 0.5
_MIN_SHARE = 0.05  # Somebody who is seen for a smaller share of a clip is passing by.


class CrowdRays(NamedTuple):
    """Everybody whom a camera sees in the `T` frames of a clip."""

    rays: np.ndarray  # [N, K, 2], the camera's intrinsics and distortion removed.
    confidence: np.ndarray  # [N, K]; 0 where a joint was not seen.
    first: np.ndarray  # [T], where the people of a frame begin among the `N`, the surest first.
    number: np.ndarray  # [T], how many they are; 0 where nobody, or no frame, is there.


class Association(NamedTuple):
    """Who is who."""

    # [M, V, T], the place of each of `M` people among a camera's `N`; -1 for nowhere.
    person: np.ndarray
    num_found: int  # How many people there are for more than a twentieth of the frames.
    num_unsure: int  # Views of an instant left out, as two people looked alike there.
    # Mean distance of the rays from the points that they agree on, in units of a person's spread.
    error: float


class _Person:
    def __init__(self, num_views: int, num_frames: int, frame: int, seen: "_Seen") -> None:
        self.place = np.full((num_views, num_frames), -1)
        self.points, self.is_known = seen.points, seen.is_known
        self.first = self.last = frame
        self.start = self.middle

    def move(self, frame: int, seen: "_Seen") -> None:
        points, known = seen.points, seen.is_known
        # What is not seen now stays where it was relative to the others.
        both = known & self.is_known
        shift = (points - self.points)[both].mean(axis=0) if both.any() else np.zeros(3)
        self.points = np.where(known[:, np.newaxis], points, self.points + shift)
        self.is_known = self.is_known | known
        self.last = frame

    @property
    def middle(self) -> np.ndarray:
        """Where they were seen last, `[3]`."""
        return self.points[self.is_known].mean(axis=0)

    @property
    def num_frames(self) -> int:
        return int((self.place >= 0).any(axis=0).sum())


def choose(
    streams: Sequence[detections.Stream | None],
    num_frames: int,
    rig: calibrations.Calibration,
    num_people: int,
    frame_rate: float,
) -> Association:
    """Tells `num_people`, `M`, apart in what `V` cameras of a rig saw of a clip of `T` frames.

    Where one person is asked for and no image shows two, that is who is seen. So it is, with the
    most surely seen of each image, where the views agree on nobody for half of the frames: people
    cannot be told apart by cameras that stand elsewhere than the calibration says. A camera that
    did not film the clip has no stream.
    """
    alone = surest(streams, num_frames)
    crowds = [_rays(stream, num_frames, rig, view) for view, stream in enumerate(streams)]
    if num_people == 1 and max(crowd.number.max() for crowd in crowds) < 2:
        return alone
    found = associate(crowds, rig.camera, num_people, frame_rate)
    is_shared = (alone.person[0] >= 0).sum(axis=0) >= 2
    is_followed = (found.person[0] >= 0).any(axis=0)
    if num_people == 1 and 2 * (is_followed & is_shared).sum() <= is_shared.sum():
        return alone
    return found


def surest(streams: Sequence[detections.Stream | None], num_frames: int) -> Association:
    """Returns one person, the most surely seen of each image, wherever the cameras stand."""
    chosen = detections.most_surely_seen(streams, num_frames)
    return Association(chosen[np.newaxis], 1, 0, float("nan"))


def _rays(
    stream: detections.Stream | None, num_frames: int, rig: calibrations.Calibration, view: int
) -> CrowdRays:
    if stream is None:
        nobody = np.zeros(num_frames, np.int64)
        # As many joints as the others have do not matter: nobody has any.
        return CrowdRays(np.zeros((0, 1, 2)), np.zeros((0, 1)), nobody, nobody)
    people = stream.crowd.people[np.newaxis]
    camera = rig.select([rig.names[view]])
    straight, seen = lenses.undistort_detections(people[..., :2], people[..., 2], *camera.lens)
    rays = cameras.rays(straight[0], camera.camera.intrinsics[0])
    return CrowdRays(rays, seen[0], *stream.slots(num_frames))


def associate(
    crowds: Sequence[CrowdRays], camera: cameras.Camera, num_people: int, frame_rate: float
) -> Association:
    """Tells apart those `num_people`, `M`, whom `V` cameras see for longest in `T` frames."""
    # Of rays: a camera with `K = I`.
    camera = camera._replace(intrinsics=np.tile(np.eye(3), (len(crowds), 1, 1)))
    num_views, num_frames = len(crowds), len(crowds[0].number)
    people: list[_Person] = []
    unsure, errors = 0, []
    max_gap = max(round(_MAX_GAP_SECONDS * frame_rate), 1)
    for frame in range(num_frames):
        image = _Frame(crowds, frame)
        active = [each for each in people if frame - each.last <= max_gap]
        for person, place, is_unsure in _matched(image, camera, active):
            unsure += int(is_unsure.sum())
            seen = _met(image, camera, place)
            if seen is not None:
                person.move(frame, seen)
                errors.append(seen.error)
                place = seen.place
            elif (place >= 0).sum() > 1:
                continue
            # One view alone says who it is, not where.
            person.place[:, frame] = image.numbers(place)
            image.take(place)
        for seen in _found(image, camera):
            newcomer = _Person(num_views, num_frames, frame, seen)
            newcomer.place[:, frame] = image.numbers(seen.place)
            people.append(newcomer)
            errors.append(seen.error)
    chains = _chained(people, num_people, frame_rate)
    least = _MIN_SHARE * num_frames
    return Association(
        np.stack([_joined(chain, num_views, num_frames) for chain in chains]),
        _most_at_once([each for each in people if each.num_frames > least]),
        unsure,
        float(np.mean(errors)) if errors else float("nan"),
    )


def _rays_of(points: np.ndarray, camera: cameras.Camera) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rays `[V, M, K, 2]` of points `[M, K, 3]`, and whether they lie in front."""
    moved = cameras.camera_from_world(points, cameras.expand(camera, -1))
    depth = moved[..., 2]
    is_ahead = depth > cameras.MIN_DEPTH
    return moved[..., :2] / np.where(is_ahead, depth, 1.0)[..., np.newaxis], is_ahead


class _Frame:
    """What the cameras see in one frame, at most `P` people each, and who of it is still free."""

    def __init__(self, crowds: Sequence[CrowdRays], frame: int) -> None:
        self._first = np.array([crowd.first[frame] for crowd in crowds])
        count = np.minimum([crowd.number[frame] for crowd in crowds], MAX_PEOPLE)
        num_joints = max(crowd.confidence.shape[-1] for crowd in crowds)
        shape = (len(crowds), max(count.max(), 1), num_joints)
        self.rays, self.confidence = np.zeros((*shape, 2)), np.zeros(shape)
        for view in np.flatnonzero(count):
            rows = slice(self._first[view], self._first[view] + count[view])
            self.rays[view, : count[view]] = crowds[view].rays[rows]
            self.confidence[view, : count[view]] = crowds[view].confidence[rows]
        is_seen = self.confidence > 0
        num_seen = is_seen.sum(axis=-1)
        weight = is_seen[..., np.newaxis] / np.maximum(num_seen, 1)[..., np.newaxis, np.newaxis]
        middle = (weight * self.rays).sum(axis=-2, keepdims=True)
        square = (weight * (self.rays - middle) ** 2).sum(axis=(-2, -1))
        self.size = np.sqrt(np.maximum(square, 1e-8))
        self.is_free = (num_seen >= _MIN_JOINTS) & ~self._are_doubles(is_seen)

    def _are_doubles(self, is_seen: np.ndarray) -> np.ndarray:
        """Tells which detections `[V, P]` are of somebody whom a surer one is of."""
        both = is_seen[:, :, np.newaxis] & is_seen[:, np.newaxis]
        apart = np.linalg.norm(self.rays[:, :, np.newaxis] - self.rays[:, np.newaxis], axis=-1)
        mean = (apart * both).sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)
        is_same = (mean < _SAME * self.size[:, :, np.newaxis]) & both.any(axis=-1)
        return np.tril(is_same, -1).any(axis=-1)

    def numbers(self, place: np.ndarray) -> np.ndarray:
        """Returns places `[V]` as places among all of each camera's people; -1 stays."""
        return np.where(place >= 0, self._first + place, -1)

    def take(self, place: np.ndarray) -> None:
        for view in np.flatnonzero(place >= 0):
            self.is_free[view, place[view]] = False

    def picked(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns rays `[V, ..., K, 2]`, confidence and size of places `[V, ...]`, 0 for -1."""
        view = np.arange(len(place)).reshape(-1, *[1] * (place.ndim - 1))
        at = np.maximum(place, 0)
        is_there = place >= 0
        confidence = np.where(is_there[..., np.newaxis], self.confidence[view, at], 0.0)
        return self.rays[view, at], confidence, self.size[view, at]

    def costs(self, camera: cameras.Camera, points: np.ndarray, is_known: np.ndarray) -> np.ndarray:
        """Returns how far people `[M, K, 3]` are from what is free, `[V, M, P]`."""
        expected, is_ahead = _rays_of(points, camera)
        both = (self.confidence > 0)[:, np.newaxis] & (is_known & is_ahead)[:, :, np.newaxis]
        apart = np.linalg.norm(self.rays[:, np.newaxis] - expected[:, :, np.newaxis], axis=-1)
        # A joint far off is a blunder, and counts as no more than that.
        apart = np.minimum(apart / self.size[:, np.newaxis, :, np.newaxis], 2 * _MAX_STEP)
        count = both.sum(axis=-1)
        cost = (apart * both).sum(axis=-1) / np.maximum(count, 1)
        return np.where((count >= _MIN_JOINTS) & self.is_free[:, np.newaxis], cost, np.inf)


class _Seen(NamedTuple):
    """Somebody in a frame: place by view, points `[K, 3]`, which are known, and the error."""

    place: np.ndarray
    points: np.ndarray
    is_known: np.ndarray
    error: float


def _matched(
    image: _Frame, camera: cameras.Camera, people: list[_Person]
) -> list[tuple[_Person, np.ndarray, np.ndarray]]:
    """Matches who was followed to what each view sees; tells the views that are unsure."""
    if not people:
        return []
    points = np.stack([person.points for person in people])
    cost = image.costs(camera, points, np.stack([person.is_known for person in people]))
    place = np.full((len(people), len(cost)), -1)
    unsure = np.zeros((len(people), len(cost)), bool)
    for view, of_view in enumerate(cost):
        bounded = np.minimum(of_view, 10 * _MAX_STEP)
        for person, best in zip(*optimize.linear_sum_assignment(bounded), strict=True):
            if of_view[person, best] > _MAX_STEP:
                continue
            others = np.delete(of_view[person], best)
            limit = max(_LIKE_FACTOR * of_view[person, best], _LIKE_ERROR)
            unsure[person, view] = (others < limit).any()
            place[person, view] = -1 if unsure[person, view] else best
    return list(zip(people, place, unsure, strict=True))


def _met(image: _Frame, camera: cameras.Camera, place: np.ndarray) -> _Seen | None:
    """Finds where views agree that somebody is, without the views that do not; None if nowhere."""
    place = place.copy()
    while (place >= 0).sum() >= 2:
        rays, confidence, size = image.picked(place)
        points, is_known = triangulation.triangulate(rays, confidence, camera)
        expected, is_ahead = _rays_of(points[np.newaxis], camera)
        both = (confidence > 0) & is_known & is_ahead[:, 0]
        apart = np.linalg.norm(rays - expected[:, 0], axis=-1) / size[:, np.newaxis]
        # The median: a joint of a view may be a blunder.
        told = zip(apart, both, strict=True)
        enough = [row[known] if known.sum() >= _MIN_JOINTS else [np.inf] for row, known in told]
        error = np.where(place >= 0, [np.median(row) for row in enough], -1.0)
        worst = int(np.argmax(error))
        if error[worst] <= _MAX_ERROR:
            return _Seen(place, points, is_known, float(error[place >= 0].mean()))
        place[worst] = -1
    return None


def _found(image: _Frame, camera: cameras.Camera) -> Iterator[_Seen]:
    """Finds people among what is free: those whom most views agree on, one after the other."""
    while True:
        agreed = (_met(image, camera, place) for place in _pairs(image))
        people = [_extended(image, camera, seen) for seen in agreed if seen is not None]
        if not people:
            return
        best = max(people, key=lambda seen: (np.count_nonzero(seen.place >= 0), -seen.error))
        image.take(best.place)
        yield best


def _pairs(image: _Frame) -> Iterator[np.ndarray]:
    """Yields the places of what is free in two views, whoever it is."""
    for views in map(list, itertools.combinations(range(len(image.rays)), 2)):
        for pair in itertools.product(*map(np.flatnonzero, image.is_free[views])):
            place = np.full(len(image.rays), -1)
            place[views] = pair
            yield place


def _extended(image: _Frame, camera: cameras.Camera, seen: _Seen) -> _Seen:
    """Adds what other views see of somebody."""
    (cost,) = image.costs(camera, seen.points[np.newaxis], seen.is_known[np.newaxis]).swapaxes(0, 1)
    nearest = cost.argmin(axis=-1)
    is_near = cost[np.arange(len(cost)), nearest] <= 2 * _MAX_ERROR
    place = np.where((seen.place < 0) & is_near, nearest, seen.place)
    return _met(image, camera, place) or seen


def _chained(people: list[_Person], num_people: int, frame_rate: float) -> list[list[_Person]]:
    """Joins the parts of a way that somebody went out of sight in between, the nearest first."""
    chains: list[list[_Person]] = []
    for person in sorted(people, key=lambda each: each.first):
        gone = [chain for chain in chains if chain[-1].last < person.first]
        near = min(gone, key=lambda chain: _gap(chain[-1], person, frame_rate), default=None)
        if near is not None and _gap(near[-1], person, frame_rate) <= 0:
            near.append(person)
        else:
            chains.append([person])
    chains.sort(key=lambda chain: -sum(each.num_frames for each in chain))
    return (chains + [[] for _ in range(num_people)])[:num_people]


# People walk at about this speed, meters per second, and somebody may turn up this far off.
_SPEED, _REACH = 2.0, 0.5


def _gap(before: _Person, after: _Person, frame_rate: float) -> float:
    """Returns by how many meters somebody is farther away than they can have gone meanwhile."""
    seconds = (after.first - before.last) / frame_rate
    return float(np.linalg.norm(after.start - before.middle)) - _REACH - _SPEED * seconds


def _joined(chain: list[_Person], num_views: int, num_frames: int) -> np.ndarray:
    place = np.full((num_views, num_frames), -1)
    for person in chain:
        place = np.where(person.place >= 0, person.place, place)
    return place


def _most_at_once(people: list[_Person]) -> int:
    """Returns how many people there are at a time, at the most."""
    return max(
        (sum(each.first <= one.first <= each.last for each in people) for one in people), default=0
    )
