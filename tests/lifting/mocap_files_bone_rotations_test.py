import numpy as np
import pytest
from scipy.spatial import transform

from keras_mvlift.lifting import mocap_files

RNG = np.random.default_rng(0)
ROTATIONS = transform.Rotation.random(40, random_state=0).as_matrix()


def units(*shape):
    return mocap_files.directions(RNG.normal(size=(*shape, 3)))


def test_a_swing_takes_one_direction_to_another_by_the_least_turn():
    source, target = units(40), units(40)
    rotation = mocap_files.swing(source, target)
    np.testing.assert_allclose(np.einsum("tij,tj->ti", rotation, source), target, atol=1e-9)
    angle = np.linalg.norm(transform.Rotation.from_matrix(rotation).as_rotvec(), axis=-1)
    np.testing.assert_allclose(np.cos(angle), (source * target).sum(axis=-1), atol=1e-9)


@pytest.mark.parametrize("target", [[-1.0, 0, 0], [1.0, 0, 0], [0.0, 0, 0]])
def test_a_swing_is_a_rotation_where_its_axis_is_not_told(target):
    source, target = np.array([[1.0, 0, 0]]), np.array([target])
    rotation = mocap_files.swing(source, target)
    np.testing.assert_allclose(rotation[0] @ rotation[0].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx([1.0])
    expected = target if target.any() else source
    np.testing.assert_allclose(np.einsum("tij,tj->ti", rotation, source), expected, atol=1e-12)


def test_angles_build_the_rotation_again_gimbal_lock_included():
    locked = transform.Rotation.from_euler("ZXY", [[20, 90, 0], [20, -90, 30]], degrees=True)
    rotation = np.concatenate([ROTATIONS, locked.as_matrix()])
    built = transform.Rotation.from_euler("ZXY", mocap_files.euler_zxy(rotation)).as_matrix()
    np.testing.assert_allclose(built, rotation, atol=1e-7)


def test_angles_do_not_jump_by_full_turns():
    # Two full turns around z in 40 steps.
    turns = np.linspace(0, 4 * np.pi, 41)
    rotation = transform.Rotation.from_euler("Z", turns).as_matrix()
    np.testing.assert_allclose(mocap_files.euler_zxy(rotation)[:, 0], turns, atol=1e-9)


def test_a_vector_without_length_has_no_direction():
    given = np.array([[0.0, 0, 0], [0, 3, 4]])
    np.testing.assert_allclose(mocap_files.directions(given), [[0, 0, 0], [0, 0.6, 0.8]])
