import dataclasses

import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.metrics import held_out_views
from keras_mvlift.training import adaptation
from tests.datasets import clips

RNG_SEED = 3
NUM_HIDDEN = 40
# So little that a fit is exact to the tolerances below.
LOOSE = 1e-6


@pytest.fixture
def rng():
    return np.random.default_rng(RNG_SEED)


def poses(rng, count=300):
    pose = rng.normal(0.0, 0.4, (count, 17, 3))
    return pose - pose[:, :1]


def mix_of(rng):
    """Returns a mix as it may be found: the root stays."""
    mix = np.eye(17) + rng.normal(0.0, 0.05, (17, 17))
    mix[0] = np.eye(17)[0]
    return mix


def turns(rng, count):
    rotation, _ = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    return rotation * np.linalg.det(rotation)[:, np.newaxis, np.newaxis]


def test_a_mix_of_joints_is_found(rng):
    pose, mix = poses(rng), mix_of(rng)
    found = adaptation.joint_mix(pose, mix @ pose, np.ones((300, 17)), LOOSE)
    # What the root adds to the other joints is nothing, and nothing is said of it.
    np.testing.assert_allclose(found[:, 1:], mix[:, 1:], atol=1e-6)
    np.testing.assert_array_equal(found[0], np.eye(17)[0])


def test_a_mix_is_held_back_and_ignores_what_is_not_trusted(rng):
    pose, mix, trust = poses(rng), mix_of(rng), np.ones((300, 17))
    held = adaptation.joint_mix(pose, mix @ pose, trust, 1e9)
    np.testing.assert_allclose(held, np.eye(17), atol=1e-5)
    trust[:, 5] = 0.0
    found = adaptation.joint_mix(pose, mix @ pose, trust, LOOSE)
    np.testing.assert_array_equal(found[5], np.eye(17)[5])
    assert np.abs(found[6] - np.eye(17)[6]).max() > 0.01


def test_half_a_trust_is_half_the_weight(rng):
    pose, target = poses(rng), poses(rng)
    once = adaptation.joint_mix(pose, target, np.ones((300, 17)), 7.0)
    pose, target = np.tile(pose, (2, 1, 1)), np.tile(target, (2, 1, 1))
    twice = adaptation.joint_mix(pose, target, np.full((600, 17), 0.5), 7.0)
    np.testing.assert_allclose(twice, once, atol=1e-9)


def test_a_mixed_layer_gives_mixed_poses_and_leaves_the_root(rng):
    hidden, weights, mix = rng.normal(size=(9, 40)), rng.normal(size=(40, 51)), mix_of(rng)
    before = (hidden @ weights).reshape(9, 17, 3)
    after = (hidden @ adaptation.mixed(weights, mix)).reshape(9, 17, 3)
    np.testing.assert_allclose(after[:, 0], before[:, 0], atol=1e-9)
    expected = mix @ (before - before[:, :1])
    np.testing.assert_allclose(after - after[:, :1], expected, atol=1e-9)


def part_of(rng, weights, changed=None, count=60, trust=1.0):
    """Makes a part whose views triangulate what a layer says of their hidden features."""
    hidden = np.hstack([rng.normal(size=(count, NUM_HIDDEN - 1)), np.ones((count, 1))])
    target = (hidden @ (weights if changed is None else changed)).reshape(count, 17, 3)
    fitted = adaptation.Fitted(hidden, target - target[:, :1], np.full((count, 17), trust))
    return adaptation.Part(None, hidden, np.zeros(0), fitted, hidden.T @ hidden)


def test_a_layer_is_found(rng):
    weights, other = rng.normal(size=(2, NUM_HIDDEN, 51))
    parts = [part_of(rng, weights, other), part_of(rng, weights, other)]
    hidden = parts[0].hidden
    found = adaptation.adapted(parts, weights, adaptation.Step(layer_ridge=LOOSE))
    pose = (hidden @ found).reshape(-1, 17, 3)
    np.testing.assert_allclose(pose - pose[:, :1], parts[0].fitted.target, atol=1e-5)
    # The root, on which no view has a say, stays where it was.
    np.testing.assert_allclose(pose[:, 0], (hidden @ weights)[:, :3], atol=1e-9)


def test_a_layer_is_held_back_and_half_trusted_targets_draw_half(rng):
    weights, other = rng.normal(size=(2, NUM_HIDDEN, 51))
    part = part_of(rng, weights, other)
    full = adaptation.layer_step([part], weights, 50.0)
    assert np.abs(adaptation.layer_step([part], weights, 1e12)).max() < 1e-6
    assert 1e-2 < np.abs(full).max() < np.abs(other - weights).max()
    half = part._replace(fitted=part.fitted._replace(trust=np.full((60, 17), 0.5)))
    np.testing.assert_allclose(2 * adaptation.layer_step([half], weights, 50.0), full, atol=1e-9)


# On cameras that see without error, through a network of one layer on rays.


ROTATION = turns(np.random.default_rng(1), 1)[0].astype(np.float32)
ANKLE, OTHER_ANKLE = 6, 3
NUM_FRAMES, NUM_ROOTLESS = 6, 2


def features(view):
    """Returns rays and a one; the network's axes are turned by `ROTATION`."""
    rays = np.asarray(view.rays).reshape(-1, 34)
    return np.hstack([rays, np.ones_like(rays[:, :1])]), np.repeat(ROTATION[None], len(rays), 0)


def fed(clip):
    """Feeds a clip that is a part of its own."""
    frames = np.arange(clip.num_frames)
    (part,) = adaptation.fed([sequences.instants_of_sequence(clip, frames)], features)
    return part


@pytest.fixture(scope="module")
def clip():
    """An exact clip; one camera alone sees an ankle, and at first the root."""
    whole = clips.exact(4, NUM_FRAMES)
    whole = clips.hide(whole, np.s_[:3, :, ANKLE])
    return clips.hide(whole, np.s_[:3, :NUM_ROOTLESS, 0])


@pytest.fixture(scope="module")
def part(clip):
    return fed(clip)


def sides(field):
    """Splits rows into those of plain views and of mirrored ones, `[2, T, 2 V, ...]`."""
    return field.reshape(2, NUM_FRAMES - NUM_ROOTLESS, 8, *field.shape[1:])


def test_targets_are_the_poses_that_were_seen_in_the_networks_axes(clip, part):
    relative = (clip.pose_world - clip.pose_world[:, :1])[NUM_ROOTLESS:]
    expected = np.einsum("tjx,vyx->tvjy", relative, np.asarray(clip.camera.rotation))
    order = list(skeletons.mirror_images(skeletons.H36M_17.joints))
    mirrored = expected[..., order, :] * [-1, 1, 1]
    found = sides(part.fitted.target)[:, :, :4] @ ROTATION
    for side, pose, ankle in ((0, expected, ANKLE), (1, mirrored, OTHER_ANKLE)):
        known = np.arange(17) != ankle
        np.testing.assert_allclose(found[side][..., known, :], pose[..., known, :], atol=1e-3)


def test_virtual_views_see_their_own_targets(part):
    pose = sides(part.fitted.target @ ROTATION)[:, :, 4:]
    rays = sides(part.fitted.hidden[:, :34])[:, :, 4:].reshape(*pose.shape[:-1], 2)
    is_seen = (np.abs(rays) > 1e-6).any(axis=-1)[..., None, None]
    # For some root in front of the camera every joint lies on its ray: two equations a joint.
    left = np.zeros((*pose.shape[:-1], 2, 3))
    left[..., 0, 0] = left[..., 1, 1] = 1.0
    left[..., 2] = -rays
    right = (rays * pose[..., 2:] - pose[..., :2])[..., None]
    left, right = (x.reshape(-1, 34, x.shape[-1]) for x in (is_seen * left, is_seen * right))
    root = np.linalg.pinv(left) @ right
    np.testing.assert_allclose(left @ root, right, atol=1e-3)
    assert (root[:, 2] > 0).all()
    # The ankle is not known, and the pelvis is what virtual cameras look at.
    assert is_seen.mean() == 15 / 17


def test_what_is_not_triangulated_is_not_trusted(part):
    trust = sides(part.fitted.trust)
    for side, ankle in ((0, ANKLE), (1, OTHER_ANKLE)):
        assert not trust[side][..., ankle].any()
        others = np.delete(trust[side], ankle, axis=-1)
        assert 0.5 < others.min() < others.max() < 0.9


def test_what_two_views_put_at_two_places_is_not_trusted():
    clip = clips.hide(clips.exact(4, NUM_FRAMES), np.s_[:2, :, ANKLE])
    keypoints = clip.keypoints_2d.copy()
    keypoints[2, :, ANKLE, 1] += 200.0
    trust = fed(dataclasses.replace(clip, keypoints_2d=keypoints)).fitted.trust
    trust = trust.reshape(2, NUM_FRAMES, 8, -1)[0]
    assert not trust[..., ANKLE].any()
    assert (np.delete(trust, ANKLE, axis=-1) > 0).all()


def test_a_single_clip_is_cut_and_several_are_parts_of_their_own():
    clip = clips.exact(4, 40)
    cut = adaptation.parts_of([clip])
    assert [len(part.frame) for part in cut] == [10, 10, 10, 10]
    np.testing.assert_array_equal(np.concatenate([part.frame for part in cut]), np.arange(40))
    spread = adaptation.parts_of([clip, clip], max_views=81)
    assert [list(part.frame) for part in spread] == [list(range(0, 40, 4))] * 2


def lifted(rng, num_parts=3, num_noise=0):
    """Makes parts of an exact clip through a network whose last layer is given the poses."""
    clip, rotation = clips.exact(3, 4 * num_parts), turns(rng, 1)[0]
    relative = clip.pose_world - clip.pose_world[:, :1]
    parts = []
    for some in np.array_split(np.arange(clip.num_frames), num_parts):
        seen = sequences.to_view(sequences.instants_of_sequence(clip, some))
        in_camera = np.einsum("tjx,vyx->tvjy", relative[some], clip.camera.rotation)
        target = in_camera.reshape(-1, 17, 3) @ rotation.T
        count = len(target)
        noise = rng.normal(size=(count, num_noise))
        given = target.reshape(count, -1) if not num_noise else noise
        hidden = np.hstack([given, np.ones((count, 1))])
        fitted = adaptation.Fitted(hidden, target, np.ones((count, 17)))
        turned = np.repeat(rotation[np.newaxis], count, axis=0)
        parts.append(adaptation.Part(seen, hidden, turned, fitted, hidden.T @ hidden))
    return parts


RIGHT = np.eye(52, 51)
"""The last layer of a network that is given the pose."""


def test_a_wrong_layer_is_mended_by_what_scores_best_where_it_was_not_fitted(rng):
    parts = lifted(rng)
    steps = (adaptation.Step(), adaptation.Step(1e-3), adaptation.Step(layer_ridge=1e12))
    found = adaptation.choose(parts, adaptation.mixed(RIGHT, mix_of(rng)), steps)
    assert found.step == steps[1]
    before, after = found.scores[steps[0]], found.scores[steps[1]]
    assert after < 1.0 < 10.0 < before
    np.testing.assert_allclose(found.scores[steps[2]], before, rtol=1e-4)
    pose = (parts[0].hidden @ found.weights).reshape(-1, 17, 3)
    np.testing.assert_allclose(pose - pose[:, :1], parts[0].fitted.target, atol=2e-3)
    summary = found.summary(parts)
    assert summary["score_mm"] == {"before": before, "after": after}
    assert summary["chosen"] == "joint mix, lambda 0.001"
    assert (summary["num_views"], summary["lifted"], summary["triangulated"]) == (36, 1.0, 1.0)


def test_a_score_is_of_parts_that_were_not_fitted(rng):
    parts = lifted(rng, num_noise=60)
    nothing, step = np.zeros((61, 51)), adaptation.Step(layer_ridge=LOOSE)
    layer = adaptation.adapted(parts, nothing, step)
    fitted = held_out_views.summarize([adaptation.missed(part, layer) for part in parts])
    assert fitted["mean_mm"] < 1.0
    assert adaptation.cross_validated(parts, nothing, step) > 100.0


@pytest.mark.parametrize(
    ("score_mm", "best"),
    [
        ({"adapted": 60.0, "started": 50.0, "scratch": 40.0}, "scratch"),
        ({"adapted": 40.3, "started": 40.2, "scratch": 40.0}, "adapted"),
        ({"adapted": 40.5, "started": 40.3, "scratch": 40.0}, "started"),
    ],
)
def test_of_what_is_as_good_the_one_that_changes_less_is_chosen(score_mm, best):
    assert adaptation.first_good(score_mm) == best


def test_the_one_that_is_held_back_most_wins_a_draw(rng):
    steps = (adaptation.Step(), adaptation.Step(layer_ridge=1e12), adaptation.Step(1e12, 1e12))
    found = adaptation.choose(lifted(rng), 0.9 * RIGHT, steps)
    assert found.step == adaptation.Step()
    assert str(found.step) == "the model as it is"
    np.testing.assert_array_equal(found.weights, 0.9 * RIGHT)


def test_one_part_is_refused(rng):
    with pytest.raises(ValueError, match=r"`parts` must be two or more\. Received: 1"):
        adaptation.choose(lifted(rng, num_parts=1), RIGHT)


def test_one_camera_is_refused():
    with pytest.raises(ValueError, match=r"`clips` must have two cameras .* Received: 1"):
        adaptation.parts_of([clips.exact(1, 8)])
