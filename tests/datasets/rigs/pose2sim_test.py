import dataclasses
import importlib.util
import shutil

import numpy as np
import pytest

from keras_mvlift import errors, skeletons, sources
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import calibration_files, pose2sim
from keras_mvlift.geometry import cameras, lenses
from tests import refusals
from tests.datasets import recordings

REFERENCE = "opensim/reference.trc"


def source(root, **options):
    return pose2sim.Pose2SimSource(root=str(root), name="clip", **options)


@pytest.fixture
def root(tmp_path):
    recordings.write(tmp_path)
    return tmp_path


def frame(root, view, number):
    return root / "pose" / f"cam{view}_json" / f"cam0{view}.{number:04d}.json"


WIDTH, HEIGHT = 1088, 1920
JOINTS = skeletons.H36M_17.joints
LIMBS = [
    index
    for index, joint in enumerate(JOINTS)
    if joint.endswith(("hip", "knee", "ankle", "shoulder", "elbow", "wrist"))
]


@pytest.fixture(scope="module")
def clip():
    root, reference = pose2sim.demo_root(), "opensim/Balancing_for_IK.trc"
    return pose2sim.Pose2SimSource(root=root, reference=reference).read("recording")


@pytest.fixture(scope="module")
def projected(clip):
    """The reference in the four images, `[V, T, J, 2]`, and its depths `[V, T, J]`."""
    camera = cameras.Camera(*(value[:, np.newaxis] for value in clip.camera))
    moved = cameras.camera_from_world(clip.pose_world, camera)
    return cameras.project(moved, camera.intrinsics), moved[..., 2]


def median_distance(projected, clip, order=slice(None)):
    """Median distance of projections and sure detections, `[V]`, pixels."""
    distance = np.linalg.norm(projected - clip.keypoints_2d[:, :, order], axis=-1)
    return [np.median(d[c > 0.3]) for d, c in zip(distance, clip.confidence, strict=True)]


@pytest.mark.parametrize("skeleton", [skeletons.BODY_25, skeletons.BODY_25B], ids=lambda s: s.name)
def test_what_was_written_is_read_back(tmp_path, skeleton):
    written = recordings.write(tmp_path, skeleton, num_views=3)
    clip = source(tmp_path, skeleton=skeleton.name).read("clip")
    converter = skeletons.Converter(skeleton.joints)
    expected = converter.keypoints(written.keypoints_2d)
    np.testing.assert_allclose(clip.keypoints_2d, expected, atol=1e-6)
    np.testing.assert_allclose(clip.confidence, converter.confidence(written.confidence))
    for field, expected in zip(clip.camera, written.camera, strict=True):
        np.testing.assert_allclose(field, expected, atol=1e-9)
    assert clip.camera_names == ("cam1", "cam2", "cam3")
    assert clip.pose_world is None


def test_the_reference_is_the_same_joints_in_the_same_world(root, tmp_path_factory):
    written = recordings.write(tmp_path_factory.mktemp("again"))
    clip = source(root, reference=REFERENCE).read("clip")
    expected = skeletons.Converter(skeletons.BODY_25B.joints).keypoints(written.points_world)
    np.testing.assert_allclose(clip.pose_world, expected, atol=1e-9)
    # Joints that are no means of others project exactly where they were detected.
    wrist = skeletons.H36M_17.joints.index("left_wrist")
    moved = cameras.camera_from_world(clip.pose_world[:, wrist], clip.camera)
    seen = cameras.project(moved, clip.camera.intrinsics)
    np.testing.assert_allclose(seen, clip.keypoints_2d[:, :, wrist], atol=1e-6)


def test_a_clip_says_what_it_is(root):
    options = {"subject": "S7", "action": "balancing", "frame_rate": 60.0}
    reader = source(root, **options)
    assert reader.clips() == ["clip"]
    (clip,) = reader
    assert dict(options, name="clip").items() <= dataclasses.asdict(clip).items()


def test_lens_distortion_is_removed(root):
    lens = np.array([-0.1, 0.1, 1e-3, -1e-3, 0.0])
    straight = source(root).read("clip")
    camera = straight.camera
    (root / "calibration" / "Calib.qca.txt").write_text(recordings.calibration(camera, lens))
    bent = source(root).read("clip").keypoints_2d
    again = lenses.distort(bent, camera.intrinsics[:, np.newaxis], lens)
    assert np.abs(bent - straight.keypoints_2d).max() > 1
    np.testing.assert_allclose(again, straight.keypoints_2d, atol=1e-6)


def test_another_calibration_takes_the_place_of_the_folder_s(root):
    rig = calibration_files.read_qualisys(root / "calibration" / "Calib.qca.txt")
    moved = rig._replace(camera=rig.camera._replace(center=rig.camera.center + 0.5))
    calibration_files.write_toml(root / "refined.toml", moved)
    before = source(root).read("clip")
    after = source(root, calibration="refined.toml").read("clip")
    np.testing.assert_allclose(after.camera.center, before.camera.center + 0.5, atol=1e-9)
    np.testing.assert_allclose(after.keypoints_2d, before.keypoints_2d, atol=1e-6)
    with pytest.raises(errors.RecordingError, match=r"other\.toml: `calibration` must be a file"):
        source(root, calibration="other.toml").read("clip")


def test_folders_are_in_the_order_of_their_numbers(tmp_path):
    recordings.write(tmp_path)
    for number in (1, 2):
        (tmp_path / "pose" / f"cam{number}_json").rename(
            tmp_path / "pose" / f"view{9 * number}_json"
        )
    assert source(tmp_path).read("clip").camera_names == ("view9", "view18")


def test_an_order_that_names_contradict_is_refused(tmp_path):
    recordings.write(tmp_path)
    (tmp_path / "pose" / "cam1_json").rename(tmp_path / "pose" / "cam10_json")
    rule = "called as the calibration's cameras, cam_01, cam2. Received: cam2, cam10"
    with pytest.raises(errors.RecordingError, match=rule), pytest.warns(errors.InputWarning):
        source(tmp_path).read("clip")


def test_frames_that_one_camera_lacks_show_nobody_there(root):
    whole = source(root).read("clip")
    frame(root, 1, 2).unlink()
    frame(root, 2, 0).write_text(recordings.detections())
    clip = source(root).read("clip")
    absent = np.zeros((2, 4), bool)
    absent[[0, 1], [2, 0]] = True
    assert (clip.confidence[absent] == 0).all()
    assert (clip.keypoints_2d[absent] == 0).all()
    np.testing.assert_array_equal(clip.confidence[~absent], whole.confidence[~absent])
    np.testing.assert_array_equal(clip.keypoints_2d[~absent], whole.keypoints_2d[~absent])


def test_frames_in_which_nobody_is_seen_at_all_stay_in_step_with_the_reference(root):
    whole = source(root, reference=REFERENCE).read("clip")
    for view in (1, 2):
        for number in (0, 3):
            frame(root, view, number).write_text(recordings.detections())
    clip = source(root, reference=REFERENCE).read("clip")
    np.testing.assert_array_equal(clip.pose_world, whole.pose_world)
    np.testing.assert_array_equal(clip.keypoints_2d[:, 1:3], whole.keypoints_2d[:, 1:3])
    assert (clip.confidence[:, [0, 3]] == 0).all()


def test_joints_not_seen_are_zero_and_confidence_is_cut_at_one(root):
    person = np.full((25, 3), [500.0, 600.0, 1.2])
    person[skeletons.BODY_25B.joints.index("left_hip")] = 0.0
    frame(root, 1, 1).write_text(recordings.detections(person))
    clip = source(root).read("clip")
    hidden = [skeletons.H36M_17.joints.index(joint) for joint in ("left_hip", "pelvis", "spine")]
    assert np.flatnonzero(clip.confidence[0, 1] == 0).tolist() == sorted(hidden)
    assert (clip.keypoints_2d[0, 1, hidden] == 0).all()
    assert clip.confidence[0, 1].max() == 1.0


def second_calibration(root):
    shutil.copy(root / "calibration" / "Calib.qca.txt", root / "calibration" / "B.qca.txt")


def other_reference(**options):
    points = np.zeros((4, len(options.get("markers", recordings.MARKERS)), 3))
    return lambda root: (root / REFERENCE).write_text(recordings.reference(points, **options))


def shorter_reference(root):
    text = (root / REFERENCE).read_text()
    (root / REFERENCE).write_text(text[: text[:-1].rindex("\n") + 1])


def nobody(root):
    for number in range(4):
        frame(root, 2, number).write_text(recordings.detections())


def remove(part):
    return lambda root: shutil.rmtree(root / part)


def seen(number, text):
    return lambda root: frame(root, 1, number).write_text(text)


FILES, NAMES = "*.qca.txt or Calib*.toml", "have 4 frames at 60.0 Hz.*Received: "


@pytest.mark.parametrize(
    ("spoil", "path", "field", "message"),
    [
        (remove(""), "calibration", FILES, "no such"),
        (remove("pose"), "pose", "*_json", "one folder per camera. Received: none"),
        (remove("pose/cam2_json"), "pose", "*_json", "per calibrated camera, 2. Received: cam1."),
        (second_calibration, "calibration", FILES, "exactly one.*B.qca.txt, Calib.qca.txt"),
        (nobody, "pose/cam2_json", "people", "be there in a frame. Received: nobody"),
        (
            seen(3, recordings.detections(np.ones((26, 3)))),
            "pose/cam1_json/cam01.0003.json",
            "pose_keypoints_2d",
            "have the 25 joints of body_25b. Received: 26",
        ),
        (
            seen(0, '{"people": ['),
            "pose/cam1_json/cam01.0000.json",
            "people",
            "be JSON. Received: no value or text without quotes in line 1",
        ),
        (lambda root: (root / REFERENCE).unlink(), REFERENCE, "reference", "be a file"),
        (shorter_reference, REFERENCE, "frames", f"{NAMES}3 at 60.0"),
        (other_reference(frame_rate=50), REFERENCE, "frames", f"{NAMES}4 at 50.0"),
        (
            other_reference(markers=recordings.MARKERS[1:]),
            REFERENCE,
            "markers",
            "allow to build the joints of h36m_17. Received: right_knee,",
        ),
    ],
)
def test_a_broken_recording_is_refused_by_file_field_rule_and_value(
    root, spoil, path, field, message
):
    spoil(root)
    reader = source(root, reference=REFERENCE)
    refusals.refused(message, reader.read, "clip", at=(root / path, field))


def test_detections_of_another_skeleton_are_refused(root):
    with pytest.raises(ValueError, match=r"be one of .*body_25b.*Received: 'coco'"):
        source(root, skeleton="coco").read("clip")
    with pytest.raises(errors.RecordingError, match=r"have the 17 joints of h36m_17. Received: 25"):
        source(root, skeleton="h36m_17").read("clip")


def test_a_missing_demo_package_is_told_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pose2sim==0.4.15: `make setup`"):
        pose2sim.demo_root()


@pytest.mark.parametrize("parts", [("S00_Calibration",), ("calibration",), ("..", "Calib-2d")])
def test_a_trial_has_the_calibration_of_its_session(root, parts, tmp_path):
    trial = tmp_path / "session" / "trial"
    shutil.copytree(root, trial)
    expected = source(root).read("clip")
    folder = trial.parent.joinpath(*parts)
    (trial / "calibration").rename(folder)
    (folder.parent / "Config.toml").write_text("[project]\nframe_rate = 30\n")
    found = pose2sim.Pose2SimSource(root=str(trial), name="clip", skeleton="body_25b").read("clip")
    np.testing.assert_array_equal(found.camera.center, expected.camera.center)
    assert found.frame_rate == 30.0
    before = sources.fingerprint(str(trial))
    (folder / "Calib_again.qca.txt").write_bytes(b"")
    assert sources.fingerprint(str(trial)) != before
    with pytest.raises(errors.RecordingError, match=r"one file, here or .*Received: .*Calib_again"):
        pose2sim.calibration_file(trial)


def test_a_session_calibrated_by_pose2sim_is_read_by_its_cameras_names(root, tmp_path_factory):
    clip = source(root).read("clip")
    rig = source(root).rig
    for file in (root / "calibration").iterdir():
        file.unlink()
    turned = rig.select(rig.names[::-1])
    calibration_files.write_toml(root / "calibration" / "Calib_scene.toml", turned)
    (root / "Config.toml").write_text("[project]\nframe_rate = 120\n")
    again = source(root).read("clip")
    assert again.camera_names == clip.camera_names
    np.testing.assert_allclose(again.camera.center, clip.camera.center, atol=1e-9)
    assert (clip.frame_rate, again.frame_rate) == (60.0, 120.0)
    (root / "Config.toml").write_text("[project]\nframe_rate = 1e9\n")
    refusals.refused(r"Config.toml: .*at most 1000 per second", source(root).read, "clip")


@pytest.mark.parametrize("skeleton", [skeletons.BODY_25B, skeletons.HALPE_26], ids=lambda s: s.name)
def test_the_joint_set_is_told_by_the_number_of_joints(tmp_path, skeleton):
    recordings.write(tmp_path, skeleton, num_views=2)
    assert source(tmp_path).joint_set == skeleton.name


def test_folders_of_2023_are_read(root):
    clip = source(root).read("clip")
    (root / "calibration").rename(root / "calib-2d")
    (root / "pose").rename(root / "pose-2d")
    np.testing.assert_array_equal(source(root).read("clip").keypoints_2d, clip.keypoints_2d)


def test_four_cameras_see_100_frames_at_60_hertz(clip):
    assert clip.camera_names == ("cam1", "cam2", "cam3", "cam4")
    assert (clip.num_frames, clip.frame_rate) == (100, 60.0)
    assert clip.pose_world.shape == (100, 17, 3)


def test_lenses_and_places_are_of_pixels_and_meters(clip):
    # 107599.67 / 64 and 34110.32 / 64, 60680.79 / 64; 1460, -1909 and 1897 mm.
    np.testing.assert_allclose(clip.camera.intrinsics[0, 0], [1681.24, 0, 532.97], atol=0.01)
    np.testing.assert_allclose(clip.camera.intrinsics[0, 1], [0, 1681.08, 948.14], atol=0.01)
    np.testing.assert_allclose(clip.camera.center[0], [1.460, -1.909, 1.897], atol=1e-3)


def test_the_reference_reprojects_within_7_to_22_pixels(clip, projected):
    medians = median_distance(projected[0], clip)
    assert 7 < min(medians)
    assert max(medians) < 22


def test_left_and_right_are_not_swapped(clip, projected):
    order = np.arange(17)
    left, right = list(skeletons.H36M_17.left), list(skeletons.H36M_17.right)
    order[left + right] = right + left
    plain, swapped = (median_distance(projected[0], clip, o) for o in (slice(None), order))
    assert (np.array(swapped) > 1.5 * np.array(plain)).all()


def test_the_person_stands_upright_in_view_of_all_cameras(clip, projected):
    keypoints_2d, depth = projected
    assert ((depth > 2) & (depth < 6)).all()
    assert ((keypoints_2d >= 0) & (keypoints_2d < [WIDTH, HEIGHT])).all(axis=-1).mean() > 0.99
    names = ["head"], ["left_ankle", "right_ankle"]
    head, feet = (clip.pose_world[:, [JOINTS.index(j) for j in each], 2].mean() for each in names)
    assert 1.3 < head - feet < 1.9


def test_detections_triangulate_to_the_reference_within_15_millimeters(clip):
    seen = sequences.instants_of_sequence(clip, np.arange(clip.num_frames))
    points, is_seen = sequences.triangulate(seen, min_confidence=0.3)
    distance = np.linalg.norm(points - clip.pose_world, axis=-1)[:, LIMBS]
    assert np.median(distance[is_seen[:, LIMBS]]) < 0.016
    assert is_seen[:, LIMBS].mean() > 0.99


def test_a_mirrored_or_moved_camera_would_show(clip):
    seen = sequences.instants_of_sequence(clip, np.arange(clip.num_frames))
    flipped = clip.camera.rotation * [[1], [-1], [-1]]
    spoiled = [
        clip.camera._replace(rotation=flipped),
        clip.camera._replace(
            center=-np.einsum("vji,vj->vi", clip.camera.rotation, clip.camera.center)
        ),
    ]
    for camera in spoiled:
        wrong = sequences.instants_of_sequence(dataclasses.replace(clip, camera=camera), seen.frame)
        points, _ = sequences.triangulate(wrong, min_confidence=0.3)
        distance = np.linalg.norm(points - clip.pose_world, axis=-1)[:, LIMBS]
        assert np.median(distance) > 0.2
