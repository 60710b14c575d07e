import functools

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import partial_views, studio_real, studio_recordings
from keras_mvlift import inference
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.export import compact
from keras_mvlift.training import objectives, refinement

REFERENCE = "opensim/Balancing_for_IK.trc"


@pytest.fixture(scope="module")
def recording():
    (clip,) = pose2sim.Pose2SimSource(root=pose2sim.demo_root(), reference=REFERENCE)
    return studio_recordings.Recording("man", "body_25b", [clip.frames(slice(0, 100, 10))])


@pytest.fixture(scope="module")
def lifter():
    model = inference.load_model("studio")
    objective = objectives.TransformReprojection()
    return compact.reopened(model, objective, partial_views.PartialViewLifter)


@pytest.fixture(scope="module")
def sets(recording):
    return studio_recordings.sets_of(recording, seed=0)


def score(lifter, recording):
    return studio_real.score(functools.partial(studio_real.lifted, lifter), recording)


def test_real_and_virtual_views_are_fitted_to_what_is_triangulated(recording, sets, lifter):
    real, virtual = sets
    assert len(real.hidden) == 2 * 40
    assert len(virtual.hidden) > len(real.hidden)
    test = studio_recordings.tested(recording)
    # Of the first block, three instants in four cameras; the reference is triangulated, too.
    apart = np.linalg.norm(real.target[:12] - test.pose[:12], axis=-1)
    assert np.median(apart[:, 1:]) < 0.05
    for part in sets:
        pose = studio_real.lifted(lifter, refinement.unpacked(tf.constant(part.hidden)))
        off = np.linalg.norm(pose - part.target, axis=-1)
        assert np.average(off, weights=part.trust) < 0.2


def test_training_comes_nearer_and_a_share_of_the_way_is_between(recording, sets, lifter):
    start = studio_real.weights_of(lifter)
    before = score(lifter, recording)
    studio_real.train(lifter, [(sets, 1.0)], num_steps=4, seed=0)
    end = studio_real.weights_of(lifter)
    assert score(lifter, recording) < before
    half = studio_real.between(start, end, 0.5)
    np.testing.assert_allclose(half[0], (start[0] + end[0]) / 2, atol=1e-7)
    found = studio_real.left_out(lifter, {"man": recording}, {"man": start})
    assert found[0.0]["man"]["held_out_mm"] < found[1.0]["man"]["held_out_mm"]
    np.testing.assert_array_equal(studio_real.weights_of(lifter)[0], end[0])
    assert studio_real.best_share(found, {"man": recording}) == 0.0
    studio_real.set_weights(lifter, start)


def test_what_was_trained_is_read_when_asked_for_again(sets, lifter, tmp_path):
    arguments = tmp_path / "end.npz", lifter, lambda: [(sets, 1.0)], 1, 0
    start = studio_real.weights_of(lifter)
    end = studio_real._once(*arguments)
    np.testing.assert_array_equal(studio_real.weights_of(lifter)[0], start[0])
    assert np.abs(end[0] - start[0]).max() > 1e-6
    for one, other in zip(end, studio_real._once(*arguments), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_joint_set_that_two_people_were_seen_in_gets_a_mix_of_shape(recording, sets, lifter):
    other = recording._replace(person="woman")
    recordings = {"one": recording, "other": other, "third": recording._replace(joint_set="x")}
    real = dict.fromkeys(recordings, sets)
    mixes = studio_real.joint_mixes(lifter, recordings, real)
    assert [*mixes] == ["body_25b"]
    pose = studio_real.lifted(lifter, refinement.unpacked(tf.constant(sets[0].hidden)))
    trust = sets[0].trust
    off = [
        np.average(np.linalg.norm(each - sets[0].target, axis=-1), weights=trust)
        for each in (pose, mixes["body_25b"] @ pose)
    ]
    assert off[1] < 0.98 * off[0]
    # Of people twice as large it is the same.
    larger = sets[0]._replace(target=2.0 * sets[0].target)
    again = studio_real.joint_mix(lifter, [[larger]])
    np.testing.assert_allclose(again, studio_real.joint_mix(lifter, [[sets[0]]]), atol=1e-9)
    weights = dict.fromkeys(("man", "woman"), studio_real.weights_of(lifter))
    found = studio_real.mixed_left_out(lifter, recordings, real, weights)
    assert {*found} == {"one", "other"}
    assert found["one"]["mpjpe_mm"] == pytest.approx(found["other"]["mpjpe_mm"])


def test_of_shares_that_are_as_good_the_least_is_taken(recording):
    recordings = {"one": recording, "two": recording, "three": recording._replace(person="woman")}
    # Relative to before, and people alike: 0.9 and 0.8; 0.895 and 0.8; 0.88 and 0.77.
    scores = {0.0: (100.0, 200.0, 50.0), 0.5: (90.0, 180.0, 40.0), 0.75: (89.0, 180.0, 40.0)}
    scores[1.0] = (86.0, 180.0, 38.5)

    def found(*shares):
        return {
            share: {
                name: {"held_out_mm": mm}
                for name, mm in zip(recordings, scores[share], strict=True)
            }
            for share in shares
        }

    assert studio_real.best_share(found(0.0, 0.5, 0.75), recordings) == 0.5
    assert studio_real.best_share(found(0.0, 0.5, 0.75, 1.0), recordings) == 1.0
