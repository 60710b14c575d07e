import functools

import bvh
import c3d
import numpy as np
import pytest
import trc as independent
from scipy.spatial import transform

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import trc
from keras_mvlift.lifting import mocap_files, pose_clip
from keras_mvlift.untrusted import files
from tests.lifting import people
from tests.untrusted import damage


def replay(path):
    """Moves a file's bones: gives its joints' positions `[T, 3]`, centimeters, by name."""
    file = bvh.Bvh(path.read_text())
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


# Up in each space: z in the world, -y in front of a camera.
UP = {"root": [0, -1, 0], "camera": [0, -1, 0], "world": [0, 0, 1]}
JOINTS, PARENTS = people.H36M.joints, people.H36M.parents


def follow(points):
    return mocap_files.follow(points, JOINTS, PARENTS)


def pose():
    """Returns `[T, 17, 3]` with y up."""
    return people.pose()[..., [1, 2, 0]]


RNG = np.random.default_rng(0)
ROTATIONS = transform.Rotation.random(40, random_state=0).as_matrix()


def units(*shape):
    return mocap_files.directions(RNG.normal(size=(*shape, 3)))


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
    with pytest.raises(ValueError, match=r"`pose` must have every joint of b in.*head in none"):
        mocap_files.write_bvh(clip, tmp_path / "poses.bvh")
    assert not any(tmp_path.iterdir())


def test_several_people_are_several_files(tmp_path):
    clip = people.clip(people.track(), people.track("b/c", seed=1))
    written = mocap_files.write_bvh(clip, tmp_path / "poses.bvh")
    assert [path.name for path in written] == ["poses.person_1.bvh", "poses.b_c.bvh"]
    _, positions = replay(written[1])
    expected = clip.tracks[1].pose[:, 0][:, [1, 2, 0]]
    np.testing.assert_allclose(positions["pelvis"] / 100, expected, atol=1e-6)


@pytest.mark.parametrize("space", pose_clip.SPACES)
@pytest.mark.parametrize(("turn", "up"), [(pose_clip.y_up, [0, 1, 0]), (pose_clip.z_up, [0, 0, 1])])
def test_what_points_up_points_up_in_other_axes(turn, up, space):
    assert turn(np.array(UP[space]), space).tolist() == up
    # Nobody is mirrored, and what is right in the image stays right.
    assert np.linalg.det(turn(np.eye(3), space)) == pytest.approx(1.0)
    assert turn(np.array([1.0, 0, 0]), "camera").tolist() == [1, 0, 0]


def test_one_person_has_joints_and_several_have_names_before_them():
    one = people.track("anna")
    other = people.track("person\t2/*", seed=1)
    assert mocap_files.markers_of_clip(people.clip(one))[0] == [*people.H36M.joints]
    names, points = mocap_files.markers_of_clip(people.clip(one, other))
    assert len(names) == 34
    assert (names[0], names[18]) == ("anna:pelvis", "person_2_:right_hip")
    np.testing.assert_array_equal(points[:, 18], other.pose[:, 1])


def test_an_independent_reader_finds_every_joint_in_millimeters_with_y_up(tmp_path):
    clip = people.clip()
    mocap_files.write_trc(clip, tmp_path / "poses.trc")
    read = independent.TRCData()
    read.load(str(tmp_path / "poses.trc"))
    assert read["Markers"] == list(people.H36M.joints)
    assert (read["Units"], float(read["DataRate"]), int(read["NumFrames"])) == ("mm", 50.0, 12)
    # Frames are counted from 1, times from the clip's start.
    assert (read["Frame#"][0], read["Time"][:2]) == (4, [0.0, 0.02])
    for index, joint in enumerate(people.H36M.joints):
        expected = 1000 * clip.tracks[0].pose[:, index][:, [1, 2, 0]]
        np.testing.assert_allclose(read[joint], expected, atol=5.1e-5)


def test_our_own_reader_of_recordings_gives_the_poses_back(tmp_path):
    absent = people.track(pose=people.hidden(people.pose(), (1, 0), (1, 16), (11, 4)))
    mocap_files.write_trc(people.clip(absent), tmp_path / "poses.trc")
    read = trc.read(tmp_path / "poses.trc")
    assert read.frame_rate == 50.0
    np.testing.assert_allclose(read.points, absent.pose, atol=5.1e-8)


def test_in_front_of_a_camera_up_is_up_too(tmp_path):
    track = people.track(pose=people.pose(space="camera"))
    mocap_files.write_trc(people.clip(track, space="camera"), tmp_path / "poses.trc")
    points = trc.read_table(tmp_path / "poses.trc").points
    np.testing.assert_allclose(points, 1000 * track.pose * [1, -1, -1], atol=5.1e-5)


def test_bones_have_their_lengths_and_hang_in_the_order_of_the_file():
    nodes, _ = follow(pose())
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
    _, rotation = follow(rest)
    expected = np.broadcast_to(np.eye(3), rotation.shape)
    np.testing.assert_allclose(rotation, expected, atol=1e-9)


def test_turning_the_body_turns_the_root_alone():
    points = pose()
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    (_, before), (_, after) = follow(points), follow(points @ turn.T)
    np.testing.assert_allclose(after[:, 0], turn @ before[:, 0], atol=1e-9)
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=1e-9)


@pytest.mark.parametrize(
    ("joint", "direction"),
    [
        *(("left_wrist", [1, 0, 0]), ("right_shoulder", [-1, 0, 0]), ("right_knee", [0, -1, 0])),
        *(("left_big_toe", [0, 0, 1]), ("head", [0, 1, 0])),
    ],
)
def test_the_t_pose_stands_upright_with_its_left_on_x(joint, direction):
    assert mocap_files.rest_direction(joint).tolist() == direction


def test_a_chain_needs_no_more_joints_than_it_has():
    points = np.cumsum(np.ones((3, 3, 3)), axis=1)
    nodes, rotation = mocap_files.follow(points, ("pelvis", "spine", "head"), (-1, 0, 1))
    assert [node.name for node in nodes] == ["pelvis", "spine", "head"]
    turned = rotation[:, 0] @ [0.0, 1.0, 0.0]
    np.testing.assert_allclose(turned, np.full((3, 3), 3**-0.5), atol=1e-9)


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


# The independent reader misses analog channels, of which there are none.
pytestmark = pytest.mark.filterwarnings("ignore:No analog data found:UserWarning")


def read_independently(path):
    """Returns labels, the reader and `[T, M, 5]`: x, y, z, residual and cameras."""
    with path.open("rb") as file:
        reader = c3d.Reader(file)
        frames = np.array([points for _, points, _ in reader.read_frames()])
        return [label.strip() for label in reader.point_labels], reader, frames


def test_an_independent_reader_finds_every_joint_in_millimeters(tmp_path):
    tracks = people.track(), people.track("b", seed=1)
    mocap_files.write_c3d(people.clip(*tracks), tmp_path / "poses.c3d")
    labels, reader, frames = read_independently(tmp_path / "poses.c3d")
    assert labels[17:19] == ["b:pelvis", "b:right_hip"]
    assert reader.point_rate == 50.0
    assert reader.get("POINT:UNITS").string_value.strip() == "mm"
    assert reader.get("POINT:Y_SCREEN").string_value.strip() == "+Z"
    pose = np.concatenate([track.pose for track in tracks], axis=1)
    np.testing.assert_allclose(frames[..., :3], 1000 * pose, atol=1e-3)
    assert (frames[..., 3] >= 0).all()


def test_an_absent_joint_is_invalid(tmp_path):
    track = people.track(pose=people.hidden(people.pose(), (2, 5)))
    mocap_files.write_c3d(people.clip(track), tmp_path / "poses.c3d")
    _, _, frames = read_independently(tmp_path / "poses.c3d")
    assert np.argwhere(frames[..., 3] < 0).tolist() == [[2, 5]]
    content = mocap_files.read_c3d(tmp_path / "poses.c3d")
    assert np.argwhere(np.isnan(content.points[..., 0])).tolist() == [[2, 5]]


def test_in_front_of_a_camera_up_is_z(tmp_path):
    track = people.track(pose=people.pose(space="camera"))
    mocap_files.write_c3d(people.clip(track, space="camera"), tmp_path / "poses.c3d")
    content = mocap_files.read_c3d(tmp_path / "poses.c3d")
    assert (content.names, content.unit) == (people.H36M.joints, "mm")
    assert (content.frame_rate, content.frames[0]) == (50.0, 1)
    expected = 1000 * track.pose[..., [0, 2, 1]] * [1, 1, -1]
    np.testing.assert_allclose(content.points, expected, atol=1e-3)


def test_more_frames_than_the_header_counts_are_refused(tmp_path):
    pose = np.zeros((2**16, 17, 3), np.float32)
    bare = dict.fromkeys(("confidence", "uncertainty", "keypoints_2d", "keypoint_confidence"))
    clip = people.clip(people.track(pose=pose, **bare))
    with pytest.raises(ValueError, match="at most 65535 frames to be written as C3D"):
        mocap_files.write_c3d(clip, tmp_path / "poses.c3d")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("data", [b"", b"\x02P" + bytes(300), b"Frame\n1\n"])
def test_a_damaged_file_is_refused(tmp_path, data):
    path = tmp_path / "a.c3d"
    path.write_bytes(data)
    with pytest.raises(errors.RecordingError, match="`file` must be a C3D file with points"):
        mocap_files.read_c3d(path)


def test_damage_ends_in_our_error_even_where_the_reader_crashes(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_FREE_SECONDS", 1)
    path = tmp_path / "a.c3d"
    mocap_files.write_c3d(people.clip(people.track()), path)
    read = functools.partial(mocap_files.read_c3d, path)
    assert damage.assert_only_our_errors(read, path, path.read_bytes()[:4096], count=60) > 10
