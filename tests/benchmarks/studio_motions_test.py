import numpy as np
import pytest

from benchmarks import studio_motions
from keras_mvlift import skeletons
from keras_mvlift.studio import actions

JOINTS = skeletons.H36M_17.joints
LEGS = [index for index, joint in enumerate(JOINTS) if joint.split("_")[-1] in ("knee", "ankle")]
ARMS = [index for index, joint in enumerate(JOINTS) if joint.split("_")[-1] in ("elbow", "wrist")]


@pytest.fixture(scope="module")
def motions():
    return studio_motions.made_up(0, 1)


def test_made_up_people_do_all_that_the_studio_knows(motions):
    assert {motion.action for motion in motions} == {*actions.ACTIONS}
    assert all(motion.positions.shape == (300, 17, 3) for motion in motions)


def test_a_mixture_walks_on_its_own_legs_with_the_arms_of_another(motions):
    some = [
        motion._replace(positions=motion.positions[: 40 + 90 * n])
        for n, motion in enumerate(motions[:3])
    ]
    for motion, mixture in zip(some, studio_motions.mixed(some, 1), strict=True):
        np.testing.assert_array_equal(mixture.positions[:, LEGS], motion.positions[:, LEGS])
        own, other = mixture.name.split("+")
        assert own == motion.name
        source = next(motion for motion in some if motion.name == other)
        lengths = (
            np.linalg.norm(each.positions[0, ARMS] - each.positions[0, [0]], axis=-1)
            for each in (mixture, source)
        )
        np.testing.assert_allclose(*lengths, atol=1e-6)


def test_the_other_body_faces_where_the_legs_go(motions):
    turned = motions[0].positions * [-1.0, -1.0, 1.0]
    both = [motions[0], motions[0]._replace(name="turned", positions=turned)]
    for seed in range(4):
        for mixture, motion in zip(studio_motions.mixed(both, seed), both, strict=True):
            np.testing.assert_allclose(mixture.positions, motion.positions, atol=1e-6)
