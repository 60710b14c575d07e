import shutil

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.human36m import detections, rig, source
from keras_mvlift.datasets.human36m import release as human36m_release
from keras_mvlift.geometry import lenses
from keras_mvlift.studio import human36m
from tests import refusals
from tests.datasets import source_contract
from tests.datasets.human36m import releases
from tests.untrusted import damage, parquet_gadgets

CPN = "cpn_ft_h36m_dbb"
KINDS = {"D2_Positions": "exact_2d", "gt": "exact_2d", CPN: "", "detections.npz": ""}


@pytest.fixture
def release(tmp_path):
    return tmp_path, releases.write(tmp_path, num_takes=6)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """All takes of the subjects that the field treats in a special way."""
    root = tmp_path_factory.mktemp("full")
    options = {"subjects": ("S9", "S11"), "num_takes": 30, "num_frames": 3, "shift_takes": True}
    return root, releases.write(root, **options, formats=("videopose3d",))


def open_full(root, **options):
    given = {"train_subjects": (), "test_subjects": ("S9", "S11"), "detections": CPN}
    return source.Human36MSource(root=str(root), **(given | options))


def straight(keypoints_2d, subject):
    """Removes the lens from what was written, but keeps what is not seen at 0."""
    intrinsics = rig.camera(subject).intrinsics[:, np.newaxis]
    lens = rig.opencv_lens(rig.DISTORTION[:, np.newaxis])
    undistorted = lenses.undistort(keypoints_2d, intrinsics, *lens)
    return np.where(keypoints_2d != 0, undistorted, 0.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("release")
    releases.write(root, num_takes=1)
    return root


@pytest.fixture
def cdf_root(tmp_path):
    releases.write(tmp_path, formats=("cdf",))
    return tmp_path


# Neither knows of the other.
@pytest.mark.parametrize(
    ("poses", "detections"),
    [*(("cdf", name) for name in (*KINDS, "detections.parquet")), ("videopose3d", "gt")],
)
def test_every_layout_is_read_back(release, poses, detections):
    root, takes = release
    reader = releases.open_source(root, poses=poses, detections=detections)
    assert reader.clips() == sorted(takes, key=lambda clip: (clip.split("_")[0], clip))
    clip = reader.read("S1_Photo_1")
    take = takes["S1_Photo_1"]
    written = take.exact_2d if KINDS.get(detections) else take.keypoints_2d[:, :8]
    np.testing.assert_allclose(clip.keypoints_2d, straight(written, "S1"), atol=1e-3)
    np.testing.assert_allclose(clip.pose_world, take.pose_world, atol=1e-6)
    if detections.startswith("detections"):
        np.testing.assert_allclose(clip.confidence, take.confidence[:, :8], atol=1e-6)
    else:
        np.testing.assert_array_equal(clip.confidence, (written != 0).any(axis=-1))


def test_canonpose_is_read_back_without_poses(release):
    root, takes = release
    reader = releases.open_source(root, detections="detections.pickle", test_subjects=())
    assert reader.clips() == ["S1_All"]
    (clip,) = reader
    assert (clip.action, clip.pose_world) == ("All", None)
    assert clip.num_frames == 6 * 8
    first = straight(takes["S1_Directions_1"].keypoints_2d[:, :8], "S1")
    np.testing.assert_allclose(clip.keypoints_2d[:, :8, :9], first[:, :, :9], atol=1e-3)


def test_a_clip_says_what_it_is(release):
    clip = releases.open_source(release[0]).read("S9_Photo_1")
    assert (clip.name, clip.subject, clip.action) == ("S9_Photo_1", "S9", "Photo")
    assert (clip.frame_rate, clip.camera_names) == (50.0, rig.CAMERAS)
    np.testing.assert_array_equal(clip.distortion, rig.DISTORTION)
    for field, expected in zip(clip.camera, rig.camera("S9"), strict=True):
        np.testing.assert_array_equal(field, expected)


def test_distortion_may_be_left_in(release):
    root, takes = release
    clip = releases.open_source(root, remove_distortion=False).read("S1_Photo_1")
    np.testing.assert_allclose(clip.keypoints_2d, takes["S1_Photo_1"].exact_2d, atol=1e-3)
    assert clip.distortion is None


def test_detections_whose_lens_has_no_inverse_are_not_seen(release):
    root, _ = release
    path = human36m_release.cdf_keypoints_path(root, "S1", "Directions 1", rig.CAMERAS[0])
    values = human36m_release.read_cdf(path, 64)
    values[5, :2] = 1e7
    path.unlink()
    human36m.write_cdf(path, values)
    clip = releases.open_source(root).read("S1_Directions_1")
    assert np.argwhere(clip.confidence == 0).tolist() == [[0, 5, 0]]
    assert not clip.keypoints_2d[0, 5, 0].any()


def test_it_is_a_source_like_any(release):
    options = {"detections": "D2_Positions", "train_subjects": ["S1"], "test_subjects": ["S9"]}
    source_contract.assert_kept(releases.open_source(release[0]), "human36m", options, "S1")


def test_the_field_drops_a_take_and_numbers_the_others_as_it_likes(full):
    clips = open_full(full[0]).clips()
    assert len(clips) == 59
    assert "S9_Directions" in clips
    assert "S11_Directions" not in clips
    assert {"S11_Directions_1", "S11_Phoning_2", "S11_Phoning_3"} <= {*clips}
    assert len(open_full(full[0], drop=()).clips()) == 60
    fewer = open_full(full[0], drop=("S9 WalkingDog", "S11 Directions")).clips()
    assert "S9_WalkDog" not in fewer
    assert len(fewer) == 58


SHIFTED = ("S9_Greeting", "S9_SittingDown_1", "S9_Waiting_1")


def test_shifted_takes_are_kept_dropped_or_corrected(full):
    root, takes = full
    kept, corrected = open_full(root), open_full(root, shifted_takes="correct")
    for clip in SHIFTED:
        written = takes[clip].pose_world
        np.testing.assert_allclose(kept.read(clip).pose_world, written, atol=1e-6)
        mended = corrected.read(clip).pose_world
        np.testing.assert_allclose(mended, written - [0.2, 0, 0], atol=1e-6)
    other = corrected.read("S9_Greeting_1").pose_world
    np.testing.assert_allclose(other, takes["S9_Greeting_1"].pose_world, atol=1e-6)
    dropped = open_full(root, shifted_takes="drop").clips()
    assert {*kept.clips()} - {*dropped} == {*SHIFTED}


def test_projections_of_shifted_poses_cannot_be_corrected(full):
    with pytest.raises(errors.RecordingError, match="not be 'correct' with projections"):
        open_full(full[0], shifted_takes="correct", detections="gt").clips()


def test_every_choice_is_said(full):
    lines = open_full(full[0], shifted_takes="drop", max_extra_frames=7).choices()
    text = "\n".join(lines)
    for said in (
        "Poses: data_3d_h36m.npz",
        "Detections: data_2d_h36m_cpn_ft_h36m_dbb.npz, detections.",
        "Subjects: none for training, S9, S11 for testing; with detections but left out: S2.",
        "Takes: 56, at 50 frames per second; dropped: S11 Directions.",
        "Shifted takes (S9 Greeting, S9 SittingDown 1, S9 Waiting 1): drop.",
        "Lens distortion: removed, in the release's own form.",
        "outlast poses by 7 frames",
    ):
        assert said in text


def longer(root, num_frames):
    """Lets one camera's detections of a take have another length."""
    path = human36m_release.archive_keypoints_path(root, CPN)
    with np.load(path, allow_pickle=True) as archive:
        content = {key: archive[key].item() for key in archive.files}
    views = content["positions_2d"]["S1"]["Eating 1"]
    views[2] = np.resize(views[2], (num_frames, 17, 2))
    np.savez_compressed(path, **content)


@pytest.mark.parametrize("num_frames", [8, 18])
def test_detections_may_be_longer_than_poses_and_are_cut(release, num_frames):
    root, _ = release
    longer(root, num_frames)
    clip = releases.open_source(root, detections=CPN, max_extra_frames=10).read("S1_Eating_1")
    assert clip.num_frames == 8


@pytest.mark.parametrize("num_frames", [7, 19])
def test_detections_shorter_or_much_longer_than_poses_are_refused(release, num_frames):
    root, _ = release
    longer(root, num_frames)
    reader = releases.open_source(root, detections=CPN, max_extra_frames=10)
    with pytest.raises(errors.RecordingError, match="have 8 to 18 frames, as the poses") as caught:
        reader.read("S1_Eating_1")
    assert caught.value.field == "positions_2d S1 Eating 1 58860488"
    assert caught.value.received == num_frames


def test_without_poses_cameras_are_cut_to_the_shortest(release):
    root, takes = release
    options = {"poses": "none", "detections": "detections.npz"}
    clip = releases.open_source(root, **options).read("S1_Eating_1")
    assert clip.pose_world is None
    assert [takes["S1_Eating_1"].num_video_frames(camera) for camera in range(4)] == [9, 10, 11, 8]
    assert clip.num_frames == 8
    with pytest.raises(errors.RecordingError, match=r"have 8 to 10 frames, as another.*: 11"):
        releases.open_source(root, **options, max_extra_frames=2).read("S1_Eating_1")


def test_projections_must_be_as_long_as_poses(release):
    root, _ = release
    path = human36m_release.cdf_keypoints_path(root, "S1", "Directions 1", rig.CAMERAS[1])
    values = human36m_release.read_cdf(path, 64)
    path.unlink()
    human36m.write_cdf(path, np.concatenate([values, values[:1]]))
    rule = r"have 8 to 8 frames.*Received: 9"
    assert refusals.refused(rule, releases.open_source(root).read, "S1_Directions_1").path == path


def test_an_unknown_action_is_listed_and_refused_when_read(release):
    root, _ = release
    path = human36m_release.cdf_pose_path(root, "S1", "Directions 1")
    path.rename(path.with_name("Juggling 1.cdf"))
    reader = releases.open_source(root)
    assert "S1_Juggling_1" in reader.clips()
    refusals.refused(r"`action` must be one of.*'Juggling 1'", reader.read, "S1_Juggling_1")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("D2_Positions", human36m_release.CDFProjections),
        ("gt", human36m_release.ArchiveDetections),
        ("cpn_ft_h36m_dbb", human36m_release.ArchiveDetections),
        ("detections.npz", detections.Archive),
        ("detections.parquet", detections.Table),
        ("detections.pickle", human36m_release.CanonPoseDetections),
    ],
)
def test_detections_are_opened_by_name(root, name, kind):
    reader = source.detection_reader(root, name)
    assert isinstance(reader, kind)
    assert "S9" in reader.subjects()


def test_a_folder_says_what_detections_it_has(root):
    assert source.detection_names(root) == [
        *("D2_Positions", "cpn_ft_h36m_dbb", "gt", "detections.npz", "detections.parquet"),
        "detections.pickle",
    ]


@pytest.mark.parametrize(
    ("file_format", "kind"),
    [("cdf", human36m_release.CDFProjections), ("canonpose", human36m_release.CanonPoseDetections)],
)
def test_the_only_detections_of_a_folder_need_no_name(tmp_path, file_format, kind):
    releases.write(tmp_path, num_takes=1, formats=(file_format,))
    assert isinstance(source.detection_reader(tmp_path, "auto"), kind)


def test_of_several_detections_one_must_be_named(root, tmp_path):
    refusals.refused(r"be named.*D2_Positions, cpn_.*, gt", source.detection_reader, root, "auto")
    refusals.refused("'auto' with none", source.detection_reader, tmp_path, "auto")


@pytest.mark.parametrize("name", ["../other.npz", "/etc/other.parquet", "../gt", "a/../../gt"])
def test_files_outside_of_the_folder_are_refused(root, name):
    refusals.refused("stays inside the folder", source.detection_reader, root, name)


@pytest.mark.parametrize(
    ("kind", "reader"),
    [
        ("auto", human36m_release.CDFPoses),
        ("cdf", human36m_release.CDFPoses),
        ("videopose3d", human36m_release.ArchivePoses),
        ("none", type(None)),
    ],
)
def test_poses_are_opened_by_kind_and_the_originals_go_first(root, kind, reader):
    assert isinstance(source.pose_reader(root, kind), reader)


def test_the_archives_poses_are_found_and_a_folder_may_have_none(tmp_path):
    assert source.pose_reader(tmp_path, "auto") is None
    np.savez(human36m_release.archive_pose_path(tmp_path), positions_3d={})
    assert isinstance(source.pose_reader(tmp_path, "auto"), human36m_release.ArchivePoses)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"poses": "h5"}, "`poses` must be one of"),
        ({"shifted_takes": "mend"}, "`shifted_takes` must be one of"),
        ({"max_extra_frames": -1}, "`max_extra_frames` must be at least 0"),
        ({"train_subjects": ("1",)}, "`train_subjects` must name subjects such as S1"),
        ({"train_subjects": ("../S1",)}, "`train_subjects` must name subjects such as S1"),
        ({"test_subjects": ("S1",)}, "`test_subjects` must name none twice or for both uses"),
        ({"drop": ("S11",)}, "'S11': `action` must be one of"),
        ({"drop": ("S11 Juggling",)}, "'S11 Juggling': `action` must be one of"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        releases.open_source("", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_subjects": ("S1", "S2")}, "whose cameras' places are known.*: S2"),
        ({"detections": "cpn"}, "data_2d_h36m_cpn.npz: `file` must be there"),
        ({"root": "/nowhere"}, "`root` must be a folder"),
    ],
)
def test_what_is_not_there_is_refused(cdf_root, options, message):
    refusals.refused(message, releases.open_source(options.pop("root", cdf_root), **options).clips)


def test_a_subject_without_poses_or_detections_is_refused(cdf_root):
    asked = {"train_subjects": ("S1", "S5")}
    with pytest.raises(errors.RecordingError, match=r"cover all subjects.*D2_.*without S5"):
        releases.open_source(cdf_root, **asked).clips()
    shutil.copytree(cdf_root / "S1", cdf_root / "S5")
    assert len(releases.open_source(cdf_root, **asked).clips()) == 6
    shutil.rmtree(human36m_release.cdf_pose_path(cdf_root, "S5", "").parent)
    with pytest.raises(errors.RecordingError, match=r"S5.*D3_Positions.*no such file"):
        releases.open_source(cdf_root, **asked).clips()


def test_a_take_in_two_spellings_is_refused(cdf_root):
    path = human36m_release.cdf_pose_path(cdf_root, "S1", "TakingPhoto")
    for name in ("TakingPhoto", "Photo"):
        shutil.copy(
            human36m_release.cdf_pose_path(cdf_root, "S1", "Directions 1"),
            path.with_name(f"{name}.cdf"),
        )
    refusals.refused(r"one spelling.*'Photo' and 'Taking", releases.open_source(cdf_root).clips)


def test_canonpose_is_for_training_alone(tmp_path):
    releases.write(tmp_path, formats=("canonpose", "cdf"))
    for options in ({}, {"test_subjects": (), "poses": "cdf"}):
        with pytest.raises(errors.RecordingError, match="with CanonPose's detections"):
            releases.open_source(tmp_path, detections="detections.pickle", **options).clips()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_frame_without_a_number_is_refused_by_name(cdf_root, value):
    for path, width in (
        (human36m_release.cdf_pose_path(cdf_root, "S1", "Directions 1"), 96),
        (human36m_release.cdf_keypoints_path(cdf_root, "S1", "Directions 1", rig.CAMERAS[3]), 64),
    ):
        data, values = path.read_bytes(), human36m_release.read_cdf(path, width)
        values[4, 10] = value
        path.unlink()
        human36m.write_cdf(path, values)
        with pytest.raises(errors.RecordingError, match=r"must be finite.*frame 4") as caught:
            releases.open_source(cdf_root).read("S1_Directions_1")
        assert caught.value.path == path
        path.write_bytes(data)


def test_one_broken_clip_leaves_the_others_readable(cdf_root):
    human36m_release.cdf_pose_path(cdf_root, "S1", "Directions 1").write_bytes(b"")
    human36m_release.cdf_keypoints_path(cdf_root, "S9", "Discussion 1", rig.CAMERAS[0]).unlink()
    reader, refused = releases.open_source(cdf_root), []
    for clip in reader.clips():
        try:
            reader.read(clip)
        except errors.RecordingError:
            refused.append(clip)
    assert refused == ["S1_Directions_1", "S9_Discussion_1"]
    assert len(reader.clips()) == 4


def test_damage_ends_in_a_refusal_or_in_a_clip(cdf_root):
    path = human36m_release.cdf_pose_path(cdf_root, "S1", "Directions 1")

    def read():
        releases.open_source(cdf_root).read("S1_Directions_1")

    assert damage.assert_only_our_errors(read, path, count=100) > 30


def test_a_table_whose_schema_would_run_code_is_refused_and_does_not_run(tmp_path):
    releases.write(tmp_path, formats=("confidence", "cdf"))
    (tmp_path / "detections.npz").unlink()
    parquet_gadgets.rewrite(tmp_path / "detections.parquet", "frame", f"touch {tmp_path / 'ran'}")
    with pytest.raises(errors.RecordingError, match=r"`frame` must be of a plain type"):
        releases.open_source(tmp_path, detections="detections.parquet").clips()
    assert not (tmp_path / "ran").exists()
