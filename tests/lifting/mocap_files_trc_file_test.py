import numpy as np
import trc as independent

from keras_mvlift.datasets.rigs import trc
from keras_mvlift.lifting import mocap_files
from tests.lifting import people


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
    np.testing.assert_allclose(read.points_world, absent.pose, atol=5.1e-8)


def test_in_front_of_a_camera_up_is_up_too(tmp_path):
    track = people.track(pose=people.pose(space="camera"))
    mocap_files.write_trc(people.clip(track, space="camera"), tmp_path / "poses.trc")
    points = trc.read_table(tmp_path / "poses.trc").points
    np.testing.assert_allclose(points, 1000 * track.pose * [1, -1, -1], atol=5.1e-5)
