import json
import os
import pathlib
import pickle
import shutil

import numpy as np
import pytest

from keras_mvlift import configs, errors, skeletons
from keras_mvlift.datasets import aistpp, preparation
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import aistpp as studio_aistpp
from tests import refusals
from tests.datasets import source_contract
from tests.untrusted import damage, gadgets

REAL = pathlib.Path(
    os.environ.get("AISTPP_ROOT", pathlib.Path(__file__).parents[2] / "../shared/data/aistpp")
)
FIRST, SECOND, THIRD = (f"gBR_sBM_cAll_d04_mBR0_ch0{number}" for number in (1, 2, 3))
TESTED = "gBR_sBM_cAll_d06_mBR0_ch02"
COCO = skeletons.COCO_17.joints
HEAD = skeletons.H36M_17.joints.index("head")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("aistpp")
    options = {"subjects": ("d04", "d06"), "num_takes": 3, "num_frames": 20}
    return root, {one.name: one for one in studio_aistpp.write_release(root, **options)}


@pytest.fixture
def copied(written, tmp_path):
    """A release that a test may damage."""
    return shutil.copytree(written[0], tmp_path / "release")


def open_source(root, **options):
    return aistpp.AISTPPSource(root=str(root), **options)


def rewrite(path, change):
    """Changes what a pickle or JSON file holds."""
    is_json = path.suffix == ".json"
    content = json.loads(path.read_text()) if is_json else pickle.loads(path.read_bytes())
    changed = change(content)
    path.write_bytes(json.dumps(changed).encode() if is_json else pickle.dumps(changed))


def keypoints(root, clip=SECOND):
    return root / "keypoints2d" / f"{clip}.pkl"


def test_a_sequence_is_read_back(written):
    root, takes = written
    clip, take = open_source(root).read(SECOND), takes[SECOND]
    assert (clip.name, clip.subject, clip.action) == (SECOND, "d04", "break")
    assert (clip.frame_rate, clip.camera_names) == (60.0, aistpp.CAMERAS)
    for field in ("intrinsics", "rotation", "center"):
        mine, theirs = getattr(clip.camera, field), getattr(take.rig.camera, field)
        np.testing.assert_allclose(mine, theirs, atol=1e-9)
    np.testing.assert_array_equal(clip.distortion, take.rig.distortion)
    seen = np.nan_to_num(np.minimum(take.confidence, 1.0))
    ideal = np.where(seen[..., np.newaxis] > 0, take.ideal_2d, 0.0)
    expected, confidence = aistpp.to_h36m(ideal, seen)
    # Pixels of the files are in single precision.
    np.testing.assert_allclose(clip.confidence, confidence, atol=1e-6)
    np.testing.assert_allclose(clip.keypoints_2d, expected, atol=1e-3)
    assert take.confidence[np.isfinite(take.confidence)].max() > 1
    assert np.isnan(take.confidence).any()


def test_poses_are_turned_z_up_and_meters_and_frames_with_a_hole_are_unknown(written):
    root, takes = written
    pose = open_source(root).read(SECOND).pose_world
    whole = skeletons.Converter(COCO).keypoints(takes[SECOND].points_world)
    assert np.isnan(pose[1]).all()
    np.testing.assert_allclose(np.delete(pose, 1, 0), np.delete(whole, 1, 0), atol=1e-9)
    left_ankle = skeletons.H36M_17.joints.index("left_ankle")
    assert np.nanmean(pose[:, HEAD, 2] - pose[:, left_ankle, 2]) > 1


def test_cameras_golden(tmp_path):
    # Files have y up: a camera 3 m before the world's origin, 1.5 m up, sees along its -z. Turned
    # half around x, its y points down and its z ahead. So R (0, 150, 300) + t = 0 for
    # t = (0, 150, 300). In our world (x, y, z) = (z, x, y) of the file, meters.
    entry = {
        "name": "c01",
        "size": [1920, 1080],
        "matrix": [[1500, 0, 960], [0, 1500, 540], [0, 0, 1]],
        "distortions": [-0.1, 0, 0, 0, 0],
        "rotation": [np.pi, 0, 0],
        "translation": [0, 150, 300],
    }
    path = tmp_path / "setting1.json"
    path.write_text(json.dumps([entry | {"name": name} for name in aistpp.CAMERAS]))
    rig = aistpp.read_cameras(path)
    np.testing.assert_allclose(rig.camera.center[0], [3, 0, 1.5], atol=1e-12)
    # Right in the image is the file's x, our y; down is our -z; ahead is our -x.
    np.testing.assert_allclose(
        rig.camera.rotation[0], [[0, 1, 0], [0, 0, -1], [-1, 0, 0]], atol=1e-12
    )
    assert rig.distortion[0].tolist() == [-0.1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("ears", "place", "confidence"),
    [
        ({"left_ear": 0.8, "right_ear": 0.6}, 3.5, 0.6),
        ({"left_ear": 0.8, "right_ear": 0.1}, 3, 0.8),
        ({"left_ear": 0.1, "right_ear": 0.7}, 4, 0.7),
        ({"left_ear": 0.1, "right_ear": 0.0, "nose": 0.9}, 0, 0.9),
        ({"left_ear": 0.2, "right_ear": 0.1, "nose": 0.3}, 3.5, 0.1),
        ({"left_ear": 0.2, "right_ear": 0.0, "nose": 0.0}, 0, 0.0),
    ],
)
def test_the_head_is_between_the_ears_else_one_ear_else_the_nose(ears, place, confidence):
    # Each joint is at (its index, 0).
    sure = np.array([ears.get(joint, 1.0) for joint in COCO])
    points, sure = aistpp.to_h36m(np.stack([np.arange(17.0), np.zeros(17)], axis=-1), sure)
    assert points[HEAD].tolist() == [place, 0]
    assert sure[HEAD] == confidence
    assert points[0].tolist() == [11.5, 0]


def test_a_camera_out_of_sync_is_left_out_of_its_sequence_alone(written):
    root, _ = written
    late = {clip.name: clip.out_of_sync for clip in open_source(root)}
    assert late.pop(FIRST) == ("c05",)
    assert {*late.values()} == {()}
    clip = open_source(root).read(FIRST)
    assert clip.camera_names == tuple(name for name in aistpp.CAMERAS if name != "c05")
    assert len(clip.camera.center) == len(clip.keypoints_2d) == 8


def test_whether_and_among_which_cameras_one_is_out_of_sync_may_be_chosen(written):
    root, _ = written
    assert open_source(root, max_residual_px=0).read(FIRST).camera_names == aistpp.CAMERAS
    others = open_source(root, cameras=("c03", "c01")).read(FIRST)
    assert (others.camera_names, others.out_of_sync) == (("c03", "c01"), ())
    whole = open_source(root).read(FIRST)
    np.testing.assert_array_equal(others.keypoints_2d, whole.keypoints_2d[[2, 0]])
    np.testing.assert_array_equal(others.camera.center, whole.camera.center[[2, 0]])
    with pytest.raises(errors.RecordingError, match=r"`cameras` must name one that .*c05"):
        open_source(root, cameras=("c05",)).read(FIRST)


def test_one_camera_that_is_off_does_not_accuse_the_others(written):
    take = written[1][FIRST]
    seen = np.where(np.isnan(take.confidence), 0.0, take.confidence)
    residual = aistpp.epipolar_residuals(take.ideal_2d, seen, take.rig.camera)
    assert residual[4] > 25
    assert np.delete(residual, 4).max() < 7
    nothing = aistpp.epipolar_residuals(take.ideal_2d, 0.4 * seen, take.rig.camera)
    assert np.isnan(nothing).all()


def test_left_out_cameras_are_counted(written):
    split = preparation.BySubject(test_subjects=("d06",))
    prepared = [
        preparation.prepare(open_source(written[0]).read(clip), split, configs.DataConfig())
        for clip in (FIRST, SECOND)
    ]
    assert [one.counts.get("out_of_sync_cameras", 0) for one in prepared] == [1, 0]


def test_the_ignore_list_is_respected(written):
    root, _ = written
    ignored = "gBR_sBM_cAll_d04_mBR0_ch04"
    assert keypoints(root, ignored).is_file()
    clips = open_source(root).clips()
    assert ignored not in clips
    assert len(clips) == 6
    assert f"on the ignore list: {ignored}." in "\n".join(open_source(root).choices())


def test_lists_are_optional(copied):
    (copied / "ignore_list.txt").unlink()
    shutil.rmtree(copied / "splits")
    source = open_source(copied)
    assert len(source.clips()) == 7
    chosen = source.splits()
    assert chosen["test_subjects"] == [*aistpp.TEST_SUBJECTS]
    assert aistpp.TEST_SUBJECTS[:2] == ("d03", "d06")
    assert chosen["held_out_clips"] == []


def test_one_of_ten_clips_is_held_out_without_a_list(copied):
    shutil.rmtree(copied / "splits")
    for number in range(5, 26):
        shutil.copy(keypoints(copied), keypoints(copied, f"{FIRST[:-2]}{number:02d}"))
    # 24 clips of d04, the fourth of which is ignored: the sixth and the sixteenth that are read.
    held_out = open_source(copied).splits()["held_out_clips"]
    assert [clip[-2:] for clip in held_out] == ["07", "17"]


def test_official_lists_say_who_tests_and_what_is_held_out(copied):
    source = open_source(copied)
    assert source.splits() == {"test_subjects": ["d06"], "held_out_clips": [THIRD]}
    (copied / "splits" / "pose_test.txt").write_text(f"{FIRST}\n{TESTED}")
    refusals.refused(r"pose_test.txt: `dancers` must .*Received: d04", source.splits)


def test_no_frame_trains_and_tests_and_held_out_clips_do_neither(written):
    source = open_source(written[0])
    split = preparation.BySubject(**{key: tuple(names) for key, names in source.splits().items()})
    used = {clip.name: tuple(map(len, split.frames(clip))) for clip in source}
    assert used[FIRST] == used[SECOND] == (20, 0, 0)
    assert used[THIRD] == (0, 0, 20)
    assert used[TESTED] == (0, 20, 0)


def test_a_sequence_without_poses_has_no_reference(copied):
    (copied / "keypoints3d" / f"{SECOND}.pkl").unlink()
    source = open_source(copied)
    assert source.read(SECOND).pose_world is None
    assert source.choices()[-1].endswith("sequences without: 1.")


def test_dancers_may_be_chosen(written):
    clips = open_source(written[0], subjects=("d06",)).clips()
    assert [clip.split("_")[3] for clip in clips] == ["d06"] * 3
    refusals.refused("hold sequences of d05", open_source(written[0], subjects=("d05",)).clips)


def test_it_is_a_source_like_any(written):
    reader = open_source(written[0], cameras=("c01", "c02"))
    ignored = "gBR_sBM_cAll_d04_mBR0_ch04"
    source_contract.assert_kept(reader, "aistpp", {"cameras": ["c01", "c02"]}, ignored)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cameras": ()}, "`cameras` must name some of c01"),
        ({"cameras": ("c01", "c01")}, "each once"),
        ({"cameras": ("c10",)}, "`cameras` must name some of"),
        ({"subjects": ("4",)}, "`subjects` must name dancers such as d04"),
        ({"max_residual_px": -1.0}, "`max_residual_px` must be at least 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        open_source("", **options)


def scaled(field, factor):
    return lambda content: content | {field: content[field] * factor}


def filled(field, value):
    return lambda content: content | {field: np.full_like(content[field], value)}


SEEN, POSES, RIG = f"keypoints2d/{SECOND}.pkl", f"keypoints3d/{SECOND}.pkl", "cameras/setting2.json"
SHARES, PLACELESS = [1 / 1920, 1 / 1080, 1], {"rotation": None, "translation": None}


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (SEEN, lambda _: {"bboxes": 1}, r"be in the file\. Received: bboxes"),
        (SEEN, lambda _: [1], "be in the file"),
        (SEEN, lambda _: {"keypoints2d": np.zeros((9, 4, 133, 3))}, r"shape \[9, any, 17, 3\]"),
        (SEEN, lambda _: {"keypoints2d": "seen"}, "be an array of numbers"),
        (SEEN, filled("keypoints2d", np.inf), "be finite or NaN"),
        (SEEN, filled("keypoints2d", np.nan), "show somebody"),
        (SEEN, scaled("keypoints2d", [1, 1, 100]), r"hold confidences of at most 1\.2"),
        (SEEN, scaled("keypoints2d", SHARES), "be in pixels of images of 1920 x 1080"),
        (POSES, lambda content: {"keypoints3d": content["keypoints3d"]}, "be in the file"),
        (POSES, lambda _: {"keypoints3d_optim": np.zeros((7, 17, 3))}, r"shape \[20, 17, 3\]"),
        (POSES, scaled("keypoints3d_optim", 10), "be in cm, of people of human size"),
        (POSES, filled("keypoints3d_optim", np.inf), "be finite or NaN"),
        (RIG, lambda _: {"c01": 1}, "`cameras` must be a list of cameras"),
        (RIG, lambda rig: rig[:8], "`name` must name a camera c09"),
        (RIG, lambda rig: [one | {"rotation": None} for one in rig], "`c01/rotation` must be th"),
        (RIG, lambda rig: [one | {"matrix": "wide"} for one in rig], "`c01/matrix` must hold num"),
        (RIG, lambda rig: [one | PLACELESS for one in rig], "`rotation` must be there for every"),
    ],
)
def test_a_broken_file_is_refused_in_a_sentence(file, change, message, copied):
    rewrite(copied / file, change)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        open_source(copied).read(SECOND)
    assert caught.value.path == copied / file
    fields = {SEEN: "keypoints2d", POSES: "keypoints3d_optim"}
    assert caught.value.field == fields.get(file, caught.value.field)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"`{SECOND}` must have a line. Received: none"),
        (f"{SECOND} setting2 really", "`line 1` must hold a sequence and its setting"),
        (f"{SECOND} ../../secret", f"`{SECOND}` must be a relative path that stays inside"),
        (f"{SECOND} setting9", "setting9.json.*must be a file that exists"),
    ],
)
def test_a_broken_mapping_is_refused_in_a_sentence(text, message, copied):
    (copied / "cameras" / "mapping.txt").write_text(text)
    refusals.refused(message, open_source(copied).read, SECOND)


@pytest.mark.parametrize("name", ["dance", "gXX_sBM_cAll_d04_mBR0_ch01"])
def test_a_name_of_no_sequence_is_listed_and_refused_when_read(name, copied):
    shutil.copy(keypoints(copied), keypoints(copied, name))
    source = open_source(copied)
    assert name in source.clips()
    assert name not in source.splits()["held_out_clips"]
    refusals.refused("`sequence` must be like gBR_sBM_cAll", source.read, name)


def test_pickles_run_nothing(copied, tmp_path):
    ran = tmp_path / "ran"
    keypoints(copied).write_bytes(pickle.dumps(gadgets.Calls(os.system, f"touch {ran}")))
    with pytest.raises(errors.RecordingError, match="hold NumPy arrays and plain containers only"):
        open_source(copied).read(SECOND)
    assert not ran.exists()


def test_damage_ends_in_a_refusal_or_in_a_clip(copied):
    path = keypoints(copied)

    def read():
        open_source(copied).read(SECOND)

    assert damage.assert_only_our_errors(read, path, count=30) > 5


@pytest.mark.skipif(not REAL.is_dir(), reason="the real sample is not there")
class TestRealSample:
    def test_cameras_show_the_poses_where_the_detector_sees_them(self):
        source = open_source(REAL)
        for name in ("gBR_sBM_cAll_d04_mBR2_ch08", "gJS_sBM_cAll_d03_mJS2_ch07"):
            clip = source.read(name)
            exact = cameras.project_from_world(clip.pose_world, cameras.expand(clip.camera, -1))
            away = np.linalg.norm(exact - clip.keypoints_2d, axis=-1)
            sure = clip.confidence >= 0.5
            median = [np.median(view[chosen]) for view, chosen in zip(away, sure, strict=True)]
            assert clip.num_views == 9
            assert min(median) > 3
            assert max(median) < 8.5

    def test_c05_is_out_of_sync_in_five_sequences(self):
        late = {clip.name[-9:]: clip.out_of_sync for clip in open_source(REAL) if clip.out_of_sync}
        assert late == {f"mBR0_ch0{number}": ("c05",) for number in (1, 3, 6, 7, 8)}
