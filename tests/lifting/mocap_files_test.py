import bvh as independent
import numpy as np
import pytest
from scipy.spatial import transform

from keras_mvlift.lifting import mocap_files
from tests.lifting import people


def replay(path):
    """Moves a file's bones: gives its joints' positions `[T, 3]`, centimeters, by name."""
    file = independent.Bvh(path.read_text())
    placed = {}
    for name in file.get_joints_names():
        channels = file.joint_channels(name)
        values = np.array(file.frames_joint_channels(name, channels))
        turns = [channel[0] for channel in channels if channel.endswith("rotation")]
        turned = transform.Rotation.from_euler("".join(turns), values[:, -3:], degrees=True)
        parent = file.joint_parent(name)
        if parent is None:
            placed[name] = values[:, :3], turned
        else:
            position, above = placed[parent.name]
            placed[name] = position + above.apply(file.joint_offset(name)), above * turned
    return file, {name: position for name, (position, _) in placed.items()}


@pytest.mark.parametrize("space", ["world", "camera"])
def test_moving_the_bones_gives_the_joints_within_a_millimeter(tmp_path, space):
    pose = people.pose(space=space)
    clip = people.clip(people.track(pose=pose), space=space)
    assert mocap_files.write_bvh(clip, tmp_path / "poses.bvh") == (tmp_path / "poses.bvh",)
    file, positions = replay(tmp_path / "poses.bvh")
    assert file.nframes == 12
    assert file.frame_time == pytest.approx(0.02)
    y_up = pose[..., [1, 2, 0]] if space == "world" else pose * [1, -1, -1]
    moved = np.stack([positions[joint] for joint in people.H36M.joints], axis=1)
    # A millimeter is asked for; six decimals of a degree give a thousandth of it.
    np.testing.assert_allclose(moved / 100, y_up, atol=1e-6)


def test_bones_that_stretch_keep_their_median_length(tmp_path):
    pose = people.pose()
    shin = pose[0, 3] - pose[0, 2]
    pose[0, 3] += 0.1 * shin / np.linalg.norm(shin)
    mocap_files.write_bvh(people.clip(people.track(pose=pose)), tmp_path / "poses.bvh")
    _, positions = replay(tmp_path / "poses.bvh")
    off = np.linalg.norm(positions["right_ankle"] / 100 - pose[:, 3][:, [1, 2, 0]], axis=-1)
    np.testing.assert_allclose(off, [0.1] + [0.0] * 11, atol=1e-6)


def test_an_absent_joint_moves_on_a_straight_line(tmp_path):
    pose = people.pose()
    pose[5, 0] = (pose[4, 0] + pose[6, 0]) / 2
    known = people.hidden(pose, (5, 0))
    mocap_files.write_bvh(people.clip(people.track(pose=known)), tmp_path / "poses.bvh")
    _, positions = replay(tmp_path / "poses.bvh")
    np.testing.assert_allclose(positions["pelvis"] / 100, pose[:, 0][:, [1, 2, 0]], atol=1e-6)


def test_a_joint_that_is_never_there_is_refused_and_nothing_is_written(tmp_path):
    never = people.hidden(people.pose(), (slice(None), 10))
    clip = people.clip(people.track(), people.track("b", pose=never))
    with pytest.raises(ValueError, match=r"`pose` of b must have every joint.*head in none"):
        mocap_files.write_bvh(clip, tmp_path / "poses.bvh")
    assert not any(tmp_path.iterdir())


def test_several_people_are_several_files(tmp_path):
    clip = people.clip(people.track(), people.track("b/c", seed=1))
    written = mocap_files.write_bvh(clip, tmp_path / "poses.bvh")
    assert [path.name for path in written] == ["poses.person_1.bvh", "poses.b_c.bvh"]
    _, positions = replay(written[1])
    expected = clip.tracks[1].pose[:, 0][:, [1, 2, 0]]
    np.testing.assert_allclose(positions["pelvis"] / 100, expected, atol=1e-6)
