"""People of the studio in one room, seen by a ring of cameras, in another order in each image."""

from typing import NamedTuple

import numpy as np
import pytest

from keras_mvlift.datasets.rigs import association
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import filming, synthetic

NUM_FRAMES, NUM_JOINTS, FRAME_RATE = 60, 17, 50.0


class Room(NamedTuple):
    """Rays `[V, T, M, K, 2]`, confidences `[V, T, M, K]`, who each is `[V, T, M]`, the cameras."""

    rays: np.ndarray
    confidence: np.ndarray
    who: np.ndarray
    camera: cameras.Camera

    def crowds(self):
        num_people = self.who.shape[2]
        first, count = np.arange(NUM_FRAMES) * num_people, np.full(NUM_FRAMES, num_people)
        return [
            association.CrowdRays(
                rays.reshape(-1, NUM_JOINTS, 2), confidence.reshape(-1, NUM_JOINTS), first, count
            )
            for rays, confidence in zip(self.rays, self.confidence, strict=True)
        ]

    def associate(self, num_people=None, camera=None):
        return association.associate(
            self.crowds(), camera or self.camera, num_people or self.who.shape[2], FRAME_RATE
        )

    def identities(self, found):
        """For each person followed, how often they are each of those in the room, `[M, N]`."""
        rows = []
        for person in found.person:
            view, frame = np.nonzero(person >= 0)
            who = self.who[view, frame, person[view, frame] % self.who.shape[2]]
            rows.append(np.bincount(who, minlength=self.who.shape[2]))
        return np.array(rows)

    def num_seen(self):
        return ((self.confidence > 0).sum(axis=-1) >= 5).sum()


def room(num_people, num_cameras, seed=0, noise_px=3.0, missing=0.05, lost=0.05):
    rng = np.random.default_rng(seed)
    studio = synthetic.Studio(
        num_subjects=num_people,
        num_clips=1,
        num_frames=NUM_FRAMES,
        frame_rate=FRAME_RATE,
        rig="ring",
        num_cameras=num_cameras,
        seed=seed,
    )
    pose_world = [np.asarray(studio.read(clip).pose_world) for clip in studio.clips()]
    camera = cameras.expand(studio.camera, -1)
    moved = [cameras.camera_from_world(pose, camera) for pose in pose_world]
    rays = np.stack([points[..., :2] / points[..., 2:] for points in moved], axis=2)
    rays = rays + rng.normal(0.0, noise_px / filming.FOCAL_LENGTH, rays.shape)
    confidence = rng.uniform(0.3, 0.95, rays.shape[:-1])
    confidence[rng.random(confidence.shape) < missing] = 0.0
    confidence[rng.random(confidence.shape[:-1]) < lost] = 0.0
    who = rng.permuted(np.broadcast_to(np.arange(num_people), confidence.shape[:-1]), axis=2)
    return Room(
        np.take_along_axis(rays, who[..., np.newaxis, np.newaxis], axis=2),
        np.take_along_axis(confidence, who[..., np.newaxis], axis=2),
        who,
        studio.camera,
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("num_people", "num_cameras"), [(1, 3), (2, 2), (2, 4), (3, 3), (4, 6)])
def test_everybody_is_followed_as_one_person(num_people, num_cameras, seed):
    made = room(num_people, num_cameras, seed)
    found = made.associate()
    counts = made.identities(found)
    assert sorted(counts.argmax(axis=1)) == list(range(num_people))
    assert counts.max(axis=1).sum() > 0.93 * made.num_seen()
    assert counts.sum() - counts.max(axis=1).sum() < 0.005 * made.num_seen()
    assert found.num_found == num_people
    assert found.error < 0.05


def test_cameras_a_degree_off_still_tell_people_apart():
    made = room(3, 4)
    degrees = np.array([[1.0], [-1.0], [-1.0], [1.0]])
    turn = cameras.from_rotation_vector(np.radians(degrees) * np.eye(3)[[0, 1, 0, 1]])
    rotation = np.asarray(turn) @ made.camera.rotation
    found = made.associate(camera=made.camera._replace(rotation=rotation))
    counts = made.identities(found)
    assert counts.max(axis=1).sum() > 0.8 * made.num_seen()
    assert counts.sum() - counts.max(axis=1).sum() < 0.01 * made.num_seen()
    assert 0.05 < found.error < 0.3


def test_fewer_are_followed_than_there_are_and_all_are_counted():
    made = room(3, 4)
    # The first is out of sight for the last third.
    made.confidence[:, 40:][made.who[:, 40:] == 0] = 0.0
    found = made.associate(num_people=2)
    assert sorted(made.identities(found).argmax(axis=1)) == [1, 2]
    assert found.num_found == 3


def test_who_is_asked_for_and_not_there_is_nowhere():
    found = room(1, 3).associate(num_people=2)
    assert found.person.shape[0] == 2
    assert (found.person[1] == -1).all()
    assert found.num_found == 1


def test_somebody_out_of_sight_for_a_second_comes_back_as_the_same():
    made = room(2, 4)
    made.confidence[:, 15:45][made.who[:, 15:45] == 0] = 0.0
    counts = made.identities(made.associate())
    assert sorted(counts.argmax(axis=1)) == [0, 1]
    assert (counts.max(axis=1) >= 0.99 * counts.sum(axis=1)).all()
    assert counts.sum() > 0.93 * made.num_seen()


def test_a_detection_that_no_other_view_shares_is_nobody():
    made = room(1, 4)
    apart = np.random.default_rng(1).normal(0.0, 0.3, (4, NUM_FRAMES, 1, 1, 2))
    both = Room(
        np.concatenate([made.rays, made.rays + apart], axis=2),
        np.concatenate([made.confidence, 0.9 * made.confidence], axis=2),
        np.concatenate([made.who, made.who + 1], axis=2),
        made.camera,
    )
    (counts,) = both.identities(both.associate(num_people=1))
    assert counts[0] > 0.9 * made.num_seen()
    assert counts[1] < 0.01 * made.num_seen()


def test_a_view_that_has_somebody_elsewhere_than_the_others_is_left_out():
    made = room(1, 4, lost=0.0)
    size = np.sqrt(made.rays[0].var(axis=-2).sum(axis=-1)).mean()
    made.rays[0, 30:, ..., 1] += 0.55 * size
    (person,) = made.associate().person
    assert (person[0, :30] >= 0).all()
    assert (person[0, 30:] == -1).mean() > 0.8
    assert (person[1:] >= 0).all()


def test_a_view_in_which_two_people_look_alike_is_left_out():
    made = room(1, 3, lost=0.0)
    # Somebody stands right behind the person, as the first camera sees them.
    size = made.rays[0, :, :1].std(axis=(-3, -2), keepdims=True).mean()
    behind = made.rays.copy()
    behind[0] += 0.2 * size
    behind[1:] += 5.0
    confidence = made.confidence.copy()
    confidence[1:] = 0.0
    both = Room(
        np.concatenate([made.rays, behind], axis=2),
        np.concatenate([made.confidence, 0.9 * confidence], axis=2),
        np.concatenate([made.who, made.who + 1], axis=2),
        made.camera,
    )
    noisy = both._replace(
        rays=both.rays + np.random.default_rng(2).normal(0, 0.01, both.rays.shape)
    )
    found = noisy.associate(num_people=1)
    (counts,) = noisy.identities(found)
    assert counts[1] == 0
    assert found.num_unsure > 0.3 * NUM_FRAMES
    assert (found.person[0, 1:] >= 0).mean() > 0.9
