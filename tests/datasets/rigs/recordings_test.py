import json
import pathlib
import shutil

import numpy as np
import pytest
import yaml

from keras_mvlift import configs, skeletons, sources
from keras_mvlift.datasets import preparation
from keras_mvlift.datasets.rigs import (
    calibration_files,
    calibrations,
    detections,
    pose2sim,
    recordings,
)
from tests import refusals
from tests.datasets import recordings as stored
from tests.datasets import source_contract
from tests.datasets.rigs import rigs_of_cameras, simulated_rigs
from tests.untrusted import damage


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("written")
    return root, simulated_rigs.write_rig(str(root), num_frames=6)


@pytest.fixture
def root(written, tmp_path):
    return pathlib.Path(shutil.copytree(written[0], tmp_path / "rig"))


def source(root, **options):
    return recordings.RigSource(root=str(root), **options)


def edit(root, change):
    """Changes the manifest."""
    content = yaml.safe_load((root / "rig.yaml").read_text())
    change(content)
    (root / "rig.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


# Half of the last digit that JSON is written with, and the means of joints.
ATOL_PX = 1e-3
ATOL_METERS = 1e-6


POSE = np.random.default_rng(0).normal(size=(4, 17, 3))


def archive(tmp_path, **content):
    path = tmp_path / "reference.npz"
    np.savez(path, **({"pose_world": POSE} | content))
    return path


def markers(tmp_path, **options):
    points = np.random.default_rng(0).normal(size=(4, len(stored.MARKERS), 3))
    path = tmp_path / "reference.trc"
    path.write_text(stored.reference(points, **options))
    return path, points


def test_clips_are_the_manifests_and_the_test_clips_are_marked(written):
    root, clips = written
    reader = source(root)
    assert reader.clips() == [clip.name for clip in clips]
    assert reader.test_clips() == [clips[-1].name]
    assert source(root / "rig.yaml").clips() == reader.clips()
    assert [clip.name for clip in reader] == [clip.name for clip in clips]


def test_a_clip_says_what_it_is(written):
    root, clips = written
    read = source(root).read(clips[1].name)
    for field in ("name", "subject", "action", "frame_rate", "camera_names"):
        assert getattr(read, field) == getattr(clips[1], field)
    np.testing.assert_allclose(read.distortion, clips[1].distortion, atol=1e-12)


def test_a_view_that_is_missing_is_not_seen_throughout(written):
    root, clips = written
    read = source(root).read(clips[-1].name)
    assert read.absent == read.camera_names[:1]
    assert (read.confidence[0] == 0).all()
    assert (read.confidence[1:] > 0).any(axis=(1, 2)).all()


def test_it_is_a_source_like_any(written):
    source_contract.assert_kept(source(written[0]), "rig", {"calibration": ""})


def test_a_clip_makes_view_pairs(written):
    root, clips = written
    config = configs.DataConfig(
        source="rig", split="clip", split_options=json.dumps({"test_clips": ["none"]})
    )
    split = sources.open_split(config)
    prepared = preparation.prepare(source(root).read(clips[0].name), split, config)
    assert len(prepared.train_pairs["frame"]) > 6


def test_choices_are_a_line_each(written):
    root, clips = written
    assert source(root).choices() == [
        "cameras: cam_1, cam_2, cam_3",
        "calibration: Calib.toml (pose2sim, z up)",
        "detections: openpose, body_25b",
        f"test clips: {clips[-1].name}",
    ]


def test_cameras_may_be_fewer_and_in_another_order(root, written):
    whole = source(root).read(written[1][0].name)

    def change(content):
        content["cameras"] = ["cam_3", "cam_2"]
        for clip in content["clips"]:
            clip["views"].pop("cam_1", None)

    edit(root, change)
    fewer = source(root).read(whole.name)
    assert fewer.camera_names == ("cam_3", "cam_2")
    np.testing.assert_array_equal(fewer.keypoints_2d, whole.keypoints_2d[[2, 1]])
    np.testing.assert_array_equal(fewer.camera.center, whole.camera.center[[2, 1]])


def test_a_broken_clip_does_not_keep_the_others_from_being_read(root, written):
    broken, good = (clip.name for clip in written[1])
    path = next((root / broken).rglob("*.json"))
    path.write_text('{"people": [')
    reader = source(root)
    assert reader.clips() == [broken, good]
    assert refusals.refused("be JSON", reader.read, broken).path == path
    assert reader.read(good).name == good


def test_a_rig_without_extrinsics_has_detections_and_waits_for_calibrate(root, written):
    rig = calibration_files.read_toml(root / "Calib.toml")
    calibration_files.write_toml(root / "Calib.toml", rigs_of_cameras.without_extrinsics(rig))
    reader, name = source(root), written[1][0].name
    for attempt in (reader.clips, lambda: reader.read(name)):
        refusals.refused(r"run `keras-mvlift calibrate`", attempt)
    keypoints_2d, confidence = reader.detections(name)
    np.testing.assert_allclose(keypoints_2d, written[1][0].keypoints_2d, atol=1e-3)
    assert confidence.shape == (3, 6, 17)
    # What the command writes is named by the config, beside the manifest.
    calibration_files.write_toml(root / "estimated.toml", rig)
    again = source(root, calibration="estimated.toml").read(name)
    np.testing.assert_allclose(again.camera.center, written[1][0].camera.center, atol=1e-9)


def first_view(content):
    return content["clips"][0]["views"]["cam_1"]


def other_camera(content):
    del content["cameras"]
    content["clips"][0]["views"]["cam_9"] = {"path": "x"}


def some_time_stamps(content):
    first_view(content)["timestamps"] = "times.csv"


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        (lambda c: first_view(c).update(path="../a"), "views.cam_1.path", "stays inside the fold"),
        (lambda c: first_view(c).update(path="/etc"), "views.cam_1.path", "stays inside"),
        (lambda c: first_view(c).update(path="none"), "detections", "JSON files. Received: noth"),
        (lambda c: c["clips"][0].update(reference="a.npz"), "reference", "be a file"),
        (lambda c: c["clips"][0].update(reference="../a.npz"), "reference", "stays inside"),
        (lambda c: c["clips"][0].update(num_frames=7), "pose_world", r"\[7, 17, 3\]"),
        (other_camera, "views", "the cameras cam_1, cam_2, cam_3. Received: cam_9"),
        (some_time_stamps, "start", "only some of the clip's views have time stamps"),
        (lambda c: first_view(c).update(timestamps="../t"), "timestamps", "stays inside"),
    ],
)
def test_a_clip_that_cannot_be_read_says_which_field(root, written, change, field, message):
    edit(root, change)
    (root / "times.csv").write_text("0.5\n")
    reader = source(root)
    first, last = reader.clips()
    assert refusals.refused(message, reader.read, first).field.endswith(field)
    assert reader.read(last).name == last


def far(content):
    for view in content["clips"][0]["views"].values():
        view["first_frame"] = 10**6


def test_a_clip_before_all_its_frames_or_with_nobody_is_refused(root):
    edit(root, far)
    name = source(root).clips()[0]
    refusals.refused(r"`people` must be there in a frame", source(root).read, name)
    edit(root, lambda content: content["clips"][0].pop("num_frames"))
    refusals.refused(r"span 1 to 250000 frames.*Received: 0", source(root).read, name)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        (lambda c: c["calibration"].update(file="../a"), "calibration.file", "stays inside"),
        (lambda c: c["calibration"].update(file="none.toml"), "calibration", "exists"),
        (lambda c: c["cameras"].append("cam_9"), "cameras", "the calibration's: cam_1, cam_2, cam"),
        (lambda c: c["calibration"].update(unit="mm"), "cameras", "meters read as millimeters"),
        (lambda c: c.pop("frame_rate"), "manifest.frame_rate", "be there"),
    ],
)
def test_a_broken_rig_is_refused_before_any_clip(root, change, field, message):
    edit(root, change)
    assert refusals.refused(message, source(root).clips).field == field


def test_pose2sims_demo_is_read_as_by_its_own_reader(tmp_path):
    folder = pathlib.Path(pose2sim.demo_root())
    for name in ("calibration", "pose", "opensim"):
        shutil.copytree(folder / name, tmp_path / name)
    views = {f"cam_{i:02d}": {"path": f"pose/cam{i}_json"} for i in (1, 2, 3, 4)}
    reference = "opensim/Balancing_for_IK.trc"
    clip = {"name": "demo", "subject": "him", "action": "balancing", "views": views}
    manifest = {
        "version": 1,
        "frame_rate": 60,
        "calibration": {"file": "calibration/Calib.qca.txt", "format": "qualisys"},
        "detections": {"format": "openpose", "skeleton": "body_25b"},
        "clips": [clip | {"reference": reference}],
    }
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump(manifest))
    expected = pose2sim.Pose2SimSource(root=str(folder), reference=reference).read("recording")
    read = source(tmp_path).read("demo")
    np.testing.assert_array_equal(read.confidence, expected.confidence)
    np.testing.assert_array_equal(read.pose_world, expected.pose_world)
    np.testing.assert_array_equal(read.camera.center, expected.camera.center)
    # Joints that are means of others are straightened before they are made, not after.
    means = [skeletons.H36M_17.joints.index(joint) for joint in ("pelvis", "spine")]
    apart = np.abs(read.keypoints_2d - expected.keypoints_2d)
    assert np.delete(apart, means, axis=2).max() < 1e-9
    assert 0.001 < apart[:, :, means].max() < 0.3
    # Some of the images show two people.
    surest = source(tmp_path, tells_apart=False).read("demo")
    np.testing.assert_array_equal(
        surest.confidence,
        pose2sim.Pose2SimSource(root=str(folder), tells_apart=False).read("recording").confidence,
    )
    np.testing.assert_array_equal(surest.confidence, source(tmp_path).detections("demo")[1])
    assert not np.array_equal(surest.confidence, read.confidence)


def test_scores_are_divided_by_what_the_manifest_says(root):
    plain = source(root)
    clip = plain.clips()[0]
    _, sure = plain.detections(clip)
    edit(root, lambda manifest: manifest["detections"].update(max_score=2.0))
    _, half = source(root).detections(clip)
    np.testing.assert_allclose(half, sure / 2)


def test_another_joint_set_may_stand_in_for_the_manifests(root):
    declared = source(root)
    other = source(root, skeleton="body_25" if declared.joint_set == "body_25b" else "body_25b")
    clip = declared.clips()[0]
    assert other.joint_set != declared.joint_set
    assert not np.allclose(other.read(clip).keypoints_2d, declared.read(clip).keypoints_2d)


@pytest.mark.parametrize(
    "options",
    [
        # Neither knows of the other.
        *({"calibration_format": name} for name in calibration_files.FORMATS),
        *({"detection_format": name} for name in detections.READERS if name != "openpose"),
        *({"skeleton": name, "detection_format": "mmpose"} for name in skeletons.SKELETONS),
        *(
            {"joined_by": joined_by, "detection_format": name, "num_cameras": 4}
            for joined_by in simulated_rigs.JOINS
            for name in detections.READERS
        ),
        *(
            {"up": up, "calibration_format": "anipose", "detection_format": "rtmlib"}
            for up in calibrations.UP_AXES
        ),
        *({"num_cameras": c, "num_clips": n, "seed": 5} for c, n in ((2, 1), (2, 3), (7, 2))),
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_what_is_written_is_read_back(tmp_path, options):
    written = simulated_rigs.write_rig(str(tmp_path), num_frames=6, **options)
    read = list(recordings.RigSource(root=str(tmp_path)))
    assert [clip.name for clip in read] == [clip.name for clip in written]
    for clip, expected in zip(read, written, strict=True):
        np.testing.assert_array_equal(clip.confidence > 0, expected.confidence > 0)
        np.testing.assert_allclose(clip.confidence, expected.confidence, atol=1e-4)
        np.testing.assert_allclose(clip.keypoints_2d, expected.keypoints_2d, atol=ATOL_PX)
        np.testing.assert_allclose(clip.pose_world, expected.pose_world, atol=ATOL_METERS)
        np.testing.assert_allclose(clip.distortion, expected.distortion, atol=1e-9)
        for field, value in zip(clip.camera, expected.camera, strict=True):
            np.testing.assert_allclose(field, value, atol=1e-9)


def test_what_is_written_is_what_a_lab_has_with_all_its_flaws(tmp_path):
    first, last = simulated_rigs.write_rig(
        str(tmp_path), num_frames=30, detection_format="mmpose", joined_by="timestamps"
    )
    seen = first.confidence > 0
    assert 0.02 < 1 - seen[0].mean() < 0.25
    # A frame that the second camera lost; the third has half the frame rate.
    assert not seen[1, simulated_rigs.LOST_SLOT].any()
    assert not seen[2, 1::2].any()
    assert not (last.confidence[0] > 0).any()
    assert np.abs(first.distortion).min() > 0
    content = json.loads((tmp_path / first.name / "cam_1.json").read_text())
    assert {len(frame["instances"]) for frame in content} == {1, 2}
    entries = yaml.safe_load((tmp_path / "rig.yaml").read_text())["clips"]
    assert [entry["test"] for entry in entries] == [False, True]


@pytest.mark.parametrize(("num_people", "num_cameras"), [(2, 3), (4, 4)])
def test_people_filmed_together_are_told_apart(tmp_path, num_people, num_cameras):
    written = simulated_rigs.write_rig(
        str(tmp_path),
        num_people=num_people,
        num_cameras=num_cameras,
        num_clips=1,
        num_frames=40,
        joined_by="first_frame",
    )
    read = list(recordings.RigSource(root=str(tmp_path)))
    assert [clip.name for clip in read] == [
        f"{written[0].name}_{number + 1}" for number in range(num_people)
    ]
    taken = [identity(clip, written) for clip in read]
    assert sorted(index for index, _ in taken) == list(range(num_people))
    assert min(share for _, share in taken) > 0.98
    assert not any(clip.unsure_views or clip.unfollowed_people for clip in read)


def identity(clip, written):
    """Who of those written a clip shows, and in how large a share of their views."""
    shares = []
    for other in written:
        apart = np.linalg.norm(clip.keypoints_2d - other.keypoints_2d, axis=-1)
        both = (clip.confidence > 0) & (other.confidence > 0)
        is_same = np.where(both, apart < ATOL_PX, True).all(axis=-1) & both.any(axis=-1)
        shares.append(is_same.sum() / (other.confidence > 0).any(axis=-1).sum())
    return int(np.argmax(shares)), max(shares)


def test_an_archive_is_read_as_it_is(tmp_path):
    pose = POSE.copy()
    pose[1, 2] = np.nan
    np.testing.assert_array_equal(
        recordings.read_reference(archive(tmp_path, pose_world=pose), 4, 50.0), pose
    )


def test_markers_become_joints(tmp_path):
    path, points = markers(tmp_path)
    pose = recordings.read_reference(path, 4, 60.0)
    expected = skeletons.Converter(stored.MARKERS).keypoints(points)
    np.testing.assert_allclose(pose, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ({"pose_world": POSE[:3]}, "pose_world", r"shape \[4, 17, 3\].*Received: \(3, 17, 3\)"),
        ({"pose_world": POSE[:, :16]}, "pose_world", r"Received: \(4, 16, 3\)"),
        ({"pose_world": np.full_like(POSE, np.inf)}, "pose_world", "be finite or NaN"),
        ({"pose_world": np.full((4, 17, 3), "far")}, "pose_world", "be an array of numbers"),
    ],
)
def test_an_archive_that_does_not_fit_is_refused(tmp_path, content, field, message):
    path = archive(tmp_path, **content)
    refusals.refused(message, recordings.read_reference, path, 4, 50.0, at=(path, field))


def test_files_without_poses_or_of_other_frames_are_refused(tmp_path):
    read, (path, _) = recordings.read_reference, markers(tmp_path)
    np.savez(tmp_path / "other.npz", poses=POSE)
    rule = r"`pose_world` must be .*Received: poses"
    refusals.refused(rule, read, tmp_path / "other.npz", 4, 50.0)
    refusals.refused("`reference` must be a file", read, tmp_path / "none.trc", 4, 50.0)
    for asked in ((5, 60.0), (4, 50.0)):
        rule = "have {} frames at {} Hz, as the detections. Received: 4 at 60.0".format(*asked)
        refusals.refused(rule, read, path, *asked)


def test_damaged_archives_end_in_our_error(tmp_path):
    path = archive(tmp_path)
    data = path.read_bytes()
    read = damage.assert_only_our_errors(
        lambda: recordings.read_reference(path, 4, 50.0), path, data
    )
    assert read > 30
