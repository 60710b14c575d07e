import numpy as np
import pytest

from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import protocol
from keras_mvlift.studio import actions, mpi_inf_3dhp, people

PERSON = people.draw_person(0, "S1")


def perform(num_frames, names=("walking", "boxing", "sitting")):
    rng = sequences.seeded_generator(0, "clip")
    return mpi_inf_3dhp.perform_sequence(names, PERSON, num_frames, 25.0, rng)


def test_every_activity_has_an_action_of_the_studio():
    assert mpi_inf_3dhp.ACTIVITY_ACTIONS.keys() == protocol.ACTIVITIES.keys()
    assert tuple(mpi_inf_3dhp.SEQUENCE_ACTIONS) == protocol.SEQUENCES
    used = [*mpi_inf_3dhp.ACTIVITY_ACTIONS.values()]
    used += [name for names in mpi_inf_3dhp.SEQUENCE_ACTIONS.values() for name in names]
    assert set(used) <= set(actions.ACTIONS)


@pytest.mark.parametrize(("num_frames", "counts"), [(9, [3, 3, 3]), (7, [3, 2, 2]), (1, [1])])
def test_actions_share_the_time(num_frames, counts):
    motion, turn = perform(num_frames)
    assert motion.shape == (num_frames, 17, 3)
    assert np.bincount(turn).tolist() == counts


def test_joints_that_the_studio_has_stay_and_the_others_are_near_their_neighbors():
    motion, _ = perform(12)
    filled = mpi_inf_3dhp.with_28_joints(motion)
    np.testing.assert_array_equal(filled[:, protocol.H36M_FROM_28], motion)
    for joint, neighbor in (
        ("spine3", "spine4"),
        ("left_clavicle", "neck"),
        ("right_hand", "right_wrist"),
        ("left_toe", "left_foot"),
        ("left_foot", "left_ankle"),
    ):
        pair = [protocol.ALL_28.index(name) for name in (joint, neighbor)]
        distance = np.linalg.norm(np.diff(filled[:, pair], axis=1), axis=-1)
        assert (distance > 0.01).all()
        assert (distance < 0.2).all()


def test_toes_point_where_the_body_faces():
    # Hips along y with the left at +y: the person faces +x.
    pose = np.zeros((1, 17, 3))
    pose[0, 4, 1], pose[0, 1, 1] = 0.1, -0.1
    filled = mpi_inf_3dhp.with_28_joints(pose)
    toe = filled[0, protocol.ALL_28.index("left_toe")]
    np.testing.assert_allclose(toe, [0.2, 0.0, -0.06])


def test_people_of_all_sizes_become_one_size_about_the_pelvis():
    pelvis, neck = (protocol.ALL_28.index(name) for name in ("pelvis", "neck"))
    lengths = []
    for subject in ("S1", "S2"):
        person = people.draw_person(0, subject)
        pose = np.tile([1.0, 2.0, 3.0], (2, 28, 1))
        height = person.bone_lengths[[2, 3, 7, 8]].sum()
        pose[:, neck, 2] += height
        scaled = mpi_inf_3dhp.universal_pose(pose, person)
        np.testing.assert_array_equal(scaled[:, pelvis], pose[:, pelvis])
        lengths.append(scaled[0, neck, 2] - scaled[0, pelvis, 2])
    np.testing.assert_allclose(lengths, 1.25)
