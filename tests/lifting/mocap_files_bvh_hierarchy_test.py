import numpy as np
import pytest

from keras_mvlift.lifting import mocap_files
from tests.lifting import people

JOINTS, PARENTS = people.H36M.joints, people.H36M.parents


def follow(points):
    return mocap_files.follow(points, JOINTS, PARENTS)


def pose():
    """Returns `[T, 17, 3]` with y up."""
    return people.pose()[..., [1, 2, 0]]


def test_bones_have_their_lengths_and_hang_in_the_order_of_the_file():
    nodes = follow(pose()).nodes
    names = [node.name for node in nodes]
    assert names[:5] == ["pelvis", "pelvis_to_right_hip", "right_hip", "right_knee", "right_ankle"]
    # Of two joints with three bones each there are six without length.
    assert len(nodes) == 17 + 6
    assert all(node.parent < index for index, node in enumerate(nodes))
    lengths = {node.name: np.linalg.norm(node.offset) for node in nodes}
    assert lengths["right_knee"] == pytest.approx(people.LENGTHS[2])
    assert lengths["pelvis_to_right_hip"] == 0.0


def test_someone_in_the_t_pose_is_not_turned_at_all():
    rest = np.zeros((1, 17, 3))
    for joint, parent in enumerate(PARENTS[1:], start=1):
        rest[:, joint] = rest[:, parent] + mocap_files.rest_direction(JOINTS[joint])
    motion = follow(rest)
    expected = np.broadcast_to(np.eye(3), motion.rotation.shape)
    np.testing.assert_allclose(motion.rotation, expected, atol=1e-9)


def test_turning_the_body_turns_the_root_alone():
    points = pose()
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    before, after = follow(points), follow(points @ turn.T)
    np.testing.assert_allclose(after.rotation[:, 0], turn @ before.rotation[:, 0], atol=1e-9)
    np.testing.assert_allclose(after.rotation[:, 1:], before.rotation[:, 1:], atol=1e-9)


@pytest.mark.parametrize(
    ("joint", "direction"),
    [
        ("left_wrist", [1, 0, 0]),
        ("right_shoulder", [-1, 0, 0]),
        ("right_knee", [0, -1, 0]),
        ("left_big_toe", [0, 0, 1]),
        ("head", [0, 1, 0]),
    ],
)
def test_the_t_pose_stands_upright_with_its_left_on_x(joint, direction):
    assert mocap_files.rest_direction(joint).tolist() == direction


def test_a_chain_needs_no_more_joints_than_it_has():
    points = np.cumsum(np.ones((3, 3, 3)), axis=1)
    motion = mocap_files.follow(points, ("pelvis", "spine", "head"), (-1, 0, 1))
    assert [node.name for node in motion.nodes] == ["pelvis", "spine", "head"]
    turned = motion.rotation[:, 0] @ [0.0, 1.0, 0.0]
    np.testing.assert_allclose(turned, np.full((3, 3), 3**-0.5), atol=1e-9)
