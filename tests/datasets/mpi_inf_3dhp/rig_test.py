import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from keras_mvlift import errors
from keras_mvlift.datasets.mpi_inf_3dhp import protocol, rig
from keras_mvlift.datasets.mpi_inf_3dhp import rig as mpi_inf_3dhp_rig
from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import mpi_inf_3dhp
from tests import random_scenes, refusals
from tests.datasets import clips
from tests.untrusted import damage

# A camera at (0.5, 1.5, 4) of a world with y up, level, looking along -z.
TEXT = """Skeletool Camera Calibration File V1.0
name          0
  sensor      10 10
  size        2048 1536
  animated    0
  intrinsic   1497.5 0 1024.25 0 0 1496 1051 0 0 0 1 0 0 0 0 1
  extrinsic   1 0 0 -500 0 -1 0 1500 0 0 -1 4000 0 0 0 1
  radial      0
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "camera.calibration"


NAMES = ("a", "b", "c", "d")


@pytest.fixture
def clip():
    return clips.exact(4, 10)


def of(clip):
    camera = cameras.expand(clip.camera, -1)
    return cameras.camera_from_world(clip.pose_world, camera), clip.keypoints_2d


def test_a_camera_worked_by_hand(path):
    path.write_text(TEXT)
    rig = mpi_inf_3dhp_rig.read_calibration(path)
    assert rig.names == ("0",)
    np.testing.assert_array_equal(rig.image_sizes, [[2048, 1536]])
    expected = [[1497.5, 0, 1024.25], [0, 1496, 1051], [0, 0, 1]]
    np.testing.assert_array_equal(rig.camera.intrinsics, [expected])
    # With z up, the file's x, y, z are our y, z, x: 1.5 m high, looking along our -x.
    np.testing.assert_allclose(rig.camera.center, [[4.0, 0.5, 1.5]])
    np.testing.assert_allclose(rig.camera.rotation, [[[0, 1, 0], [0, 0, -1], [-1, 0, 0]]])


def test_the_heights_are_those_of_the_real_rig(path):
    mpi_inf_3dhp.write_calibration(path, mpi_inf_3dhp.training_rig(0))
    rig = mpi_inf_3dhp_rig.read_calibration(path, protocol.CAMERA_SETS["vnect"])
    heights = [1.54, 1.99, 1.49, 1.12, 0.82, 2.47, 1.17, 1.39]
    np.testing.assert_allclose(rig.camera.center[:, 2], heights, atol=1e-4)
    # Upright: the image's down is the world's down.
    assert (rig.camera.rotation[:, 1, 2] < -0.8).all()


def test_cameras_are_given_by_number_and_in_the_order_asked_for(path):
    rig = mpi_inf_3dhp.training_rig(0)
    mpi_inf_3dhp.write_calibration(path, rig)
    chosen = mpi_inf_3dhp_rig.read_calibration(path, (8, 2))
    assert chosen.names == ("8", "2")
    np.testing.assert_allclose(chosen.camera.center, rig.camera.center[[8, 2]], atol=1e-5)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(seed=strategies.integers(0, 10_000), num_views=strategies.integers(1, 14))
def test_any_rig_is_read_as_it_was_written(tmp_path_factory, seed, num_views):
    camera = random_scenes.camera(np.random.default_rng(seed), num_views)
    names = tuple(str(index) for index in range(num_views))
    path = tmp_path_factory.mktemp("rig") / "camera.calibration"
    written = calibrations.Calibration(
        names, camera, np.zeros((num_views, 5)), np.full((num_views, 2), 2048.0)
    )
    mpi_inf_3dhp.write_calibration(path, written)
    rig = mpi_inf_3dhp_rig.read_calibration(path)
    assert rig.names == names
    for field, expected in zip(rig.camera, camera, strict=True):
        np.testing.assert_allclose(field, expected, rtol=1e-6, atol=5e-6)


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("V1.0", "V2.0", "line 1", "be 'Skeletool Camera Calibration File V1.0'"),
        ("  radial      0\n", "", "lines", "number 7 a camera.*Received: 6"),
        ("  size  ", "  sizes ", "line 4: size", "be 'size' and 2 numbers"),
        (" 0 0 0 1\n  ex", " 0 0 0\n  ex", "line 6: intrinsic", "'intrinsic' and 16 numbers"),
        ("-500", "left", "line 7: extrinsic", "hold numbers. Received: .left"),
        ("-500", "nan", "line 7: extrinsic", "hold finite numbers"),
        ("-500", "1e999", "line 7: extrinsic", "hold finite numbers"),
        ("animated    0", "animated    1", "line 5: animated", "be 0: cameras stand still"),
        ("radial      0", "radial      -0.2", "line 8: radial", "have no distortion"),
        ("2048 1536", "2048 0", "line 4: size", "be positive"),
        ("1497.5 0 ", "1497.5 2 ", "line 6: intrinsic", "be a pinhole camera's"),
        ("1497.5", "-1497.5", "line 6: intrinsic", "be a pinhole camera's"),
        ("extrinsic   1 0", "extrinsic   1.01 0", "line 7: extrinsic", "be a rotation"),
        ("extrinsic   1 0", "extrinsic   -1 0", "line 7: extrinsic", "be a rotation"),
        ("4000 0 0 0 1", "4000 0 0 1 1", "line 7: extrinsic", "be a rotation"),
    ],
)
def test_a_broken_file_is_refused_by_line_and_key(path, old, new, field, message):
    assert old in TEXT
    path.write_text(TEXT.replace(old, new))
    refusals.refused(message, mpi_inf_3dhp_rig.read_calibration, path, at=(path, field))


def test_cameras_that_are_not_there_or_there_twice_are_refused(path):
    refusals.refused("be a file that exists", mpi_inf_3dhp_rig.read_calibration, path)
    path.write_text(TEXT)
    with pytest.raises(errors.RecordingError, match=r"name a camera 4. Received: 0"):
        mpi_inf_3dhp_rig.read_calibration(path, (0, 4))
    path.write_text(TEXT + TEXT.split("\n", 1)[1])
    with pytest.raises(errors.RecordingError, match=r"`line 9: name` must be new. Received: 0"):
        mpi_inf_3dhp_rig.read_calibration(path)


def test_damage_ends_in_our_error_or_in_a_rig(path):
    data = TEXT.encode()
    refused = damage.assert_only_our_errors(
        lambda: mpi_inf_3dhp_rig.read_calibration(path), path, data, count=300
    )
    assert refused > 150


def test_what_fits_gives_the_pose_in_the_world(clip):
    pose = rig.agreed_pose_world("file", NAMES, *of(clip), clip.camera)
    np.testing.assert_allclose(pose, clip.pose_world, atol=1e-12)
    rig.require_meeting_rays("file", NAMES, clip.keypoints_2d, clip.camera)
    rig.require_equal_poses("file", NAMES, of(clip)[0] * 1.1, clip.camera)


def test_a_few_bad_frames_do_not_condemn_a_calibration(clip):
    pose_camera, keypoints_2d = of(clip)
    pose_camera[1, 3] += 0.5
    rig.agreed_pose_world("file", NAMES, pose_camera, keypoints_2d, clip.camera)


def test_a_camera_that_stands_elsewhere_is_named(clip):
    center = clip.camera.center.copy()
    center[2] += [0.0, 0.02, 0.0]
    stale = cameras.Camera(clip.camera.intrinsics, clip.camera.rotation, center)
    message = "calibration` must fit the annotation. Received: camera c: 20 mm from the other"
    with pytest.raises(errors.RecordingError, match=message):
        rig.agreed_pose_world("file", NAMES, *of(clip), stale)
    with pytest.raises(errors.RecordingError, match="px from where its rays meet"):
        rig.require_meeting_rays("file", NAMES, clip.keypoints_2d, stale)


def test_a_lens_that_does_not_fit_is_named(clip):
    intrinsics = clip.camera.intrinsics.copy()
    intrinsics[1, 0, 2] += 2
    stale = cameras.Camera(intrinsics, clip.camera.rotation, clip.camera.center)
    with pytest.raises(errors.RecordingError, match="camera b: 2 px between annot3 and annot2"):
        rig.agreed_pose_world("file", NAMES, *of(clip), stale)


def test_a_camera_turned_by_two_degrees_is_named(clip):
    rotation = clip.camera.rotation.copy()
    rotation[3] = cameras.from_rotation_vector(0.035 * np.eye(3)[2]) @ rotation[3]
    with pytest.raises(errors.RecordingError, match=r"camera d: .* mm from the other"):
        rig.require_equal_poses("file", NAMES, of(clip)[0], clip.camera._replace(rotation=rotation))


def test_cameras_out_of_order_are_refused_by_every_check(clip):
    wrong = cameras.Camera(*(field[[0, 1, 3, 2]] for field in clip.camera))
    pose_camera, keypoints_2d = of(clip)
    for check, given in (
        (rig.agreed_pose_world, (pose_camera, keypoints_2d)),
        (rig.require_meeting_rays, (keypoints_2d,)),
        (rig.require_equal_poses, (pose_camera,)),
    ):
        with pytest.raises(errors.RecordingError, match="fit the annotation"):
            check("file", NAMES, *given, wrong)
