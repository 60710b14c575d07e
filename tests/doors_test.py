"""What people bring at every door: each kind is read right, or said in one sentence.

Of one camera people are lifted by the shipped model; a rig is read, checked and calibrated.
"""

import ast
import json
import pathlib
import re
import warnings

import hypothesis
import numpy as np
import pytest
import tomli_w
import yaml
from hypothesis import strategies

from keras_mvlift import errors, inference, skeletons
from keras_mvlift.cli import main
from keras_mvlift.datasets.rigs import calibration_files, recordings
from keras_mvlift.lifting import lift, tracks_2d, tracks_2d_files, viewpoints
from tests.datasets.rigs import simulated_rigs
from tests.lifting import people

SEEN = people.walking()[:12]
SURE = np.full(SEEN.shape[:-1], 0.8)
SIZE = (1000, 1000)
CAMERA = viewpoints.Viewpoint(intrinsics=people.WALK_CAMERA.intrinsics, image_size=SIZE)
MODEL = inference.load_model("studio")


def lift_tracks(tracks):
    clip = lift.lift(MODEL, tracks, CAMERA, frame_rate=50.0, is_steady=False)
    return clip.tracks[0].pose, "; ".join(tracks.notes)


def as_mmpose(keypoints, confidence, folder):
    frames = [
        {"frame_id": number, "instances": [{"keypoints": k, "keypoint_scores": c}]}
        for number, (k, c) in enumerate(zip(keypoints.tolist(), confidence.tolist(), strict=True))
    ]
    path = folder / "seen.json"
    path.write_text(json.dumps(frames))
    return lift_tracks(tracks_2d_files.read(path))


def as_archive(keypoints, confidence, folder, skeleton="coco_17"):
    path = folder / "seen.npz"
    facts = {} if skeleton is None else {"skeleton": skeleton}
    np.savez(path, keypoints_2d=keypoints, confidence=confidence, image_size=SIZE, **facts)
    return lift_tracks(tracks_2d_files.read(path))


def as_table(keypoints, confidence, folder):
    rows = [
        f"{frame},{joint},{keypoints[frame, k, 0]},{keypoints[frame, k, 1]},{confidence[frame, k]}"
        for frame in range(len(keypoints))
        for k, joint in enumerate(skeletons.COCO_17.joints)
    ]
    path = folder / "seen.csv"
    path.write_text("\n".join(["frame,joint,x,y,confidence", *rows]))
    return lift_tracks(tracks_2d_files.read(path))


def as_tracks(keypoints, confidence, folder):
    del folder
    joints = skeletons.COCO_17.joints
    return lift_tracks(tracks_2d.of_arrays(keypoints, confidence, joint_names=joints))


def as_arrays(keypoints, confidence, folder):
    del folder
    found = MODEL.lift(keypoints, confidence, CAMERA, skeleton="coco_17")
    pose = found.root_relative_pose + found.root_position[:, np.newaxis]
    return pose, ""


# Of one camera.
DOORS = {
    "a detector's file": as_mmpose,
    "an archive": as_archive,
    "a table": as_table,
    "tracks": as_tracks,
    "model.lift": as_arrays,
}


def brought(door, folder, keypoints, confidence=SURE):
    """Returns the poses, and all that was told."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", errors.InputWarning)
        pose, notes = DOORS[door](keypoints, confidence, folder)
    return pose, "; ".join([notes, *(str(each.message) for each in told)])


@pytest.mark.parametrize("door", DOORS)
def test_what_is_right_is_read_and_nothing_is_warned_about(door, tmp_path):
    pose, told = brought(door, tmp_path, SEEN)
    true = people.cameras.camera_from_world(
        np.asarray(people.WALK.pose_world)[: len(SEEN)], people.WALK_CAMERA
    )
    off = np.linalg.norm((pose - pose[:, :1]) - (true - true[:, :1]), axis=-1)
    assert off.mean() < 0.12
    assert re.sub("; |joints read as coco_17's by where they lie", "", told) == ""


@pytest.mark.parametrize("door", DOORS)
@hypothesis.settings(max_examples=5, deadline=None, derandomize=True)
@hypothesis.given(
    joints=strategies.sets(strategies.integers(0, 16), min_size=1, max_size=4),
    nowhere=strategies.sampled_from([0.0, -1.0, np.nan]),
    score=strategies.sampled_from([0.9, 0.31, 0.0]),
)
def test_a_joint_at_no_place_is_not_seen_whatever_its_score(
    door, tmp_path_factory, joints, nowhere, score
):
    keypoints, confidence = SEEN.copy(), SURE.copy()
    keypoints[:, sorted(joints)], confidence[:, sorted(joints)] = nowhere, score
    unseen = np.where(np.isin(np.arange(17), sorted(joints)), 0.0, SURE)
    # JSON has no NaN.
    hypothesis.assume(door != "a detector's file" or not np.isnan(nowhere))
    folder = tmp_path_factory.mktemp("seen")
    expected, _ = brought("tracks" if door == "a table" else door, folder, SEEN, unseen)
    np.testing.assert_allclose(brought(door, folder, keypoints, confidence)[0], expected, atol=1e-5)


PIXELS = "must be pixels"
OUTSIDE = "of the joints lie outside of the image of 1000 x 1000"
# How joints are spoiled, and what is said: by an error, or else by a warning.
SAID = {
    "shares of the image": (lambda x: x / 1000, PIXELS),
    "from -1 to 1": (lambda x: x / 500 - 1, PIXELS),
    "percents": (lambda x: x / 10, "All joints lie in the first"),
    "twice the size": (lambda x: x * 2, OUTSIDE),
    "half the size": (lambda x: x / 2, "All joints lie in the first"),
    "y upwards": (lambda x: [0, 1000] + x * [1, -1], "Heads are below feet in"),
    "infinite": (lambda x: np.where(np.arange(17)[:, np.newaxis] == 3, np.inf, x), "finite"),
}
# `model.lift` knows no image.
UNKNOWN = ("percents", "twice the size", "half the size", "y upwards")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", SAID)
def test_what_are_no_pixels_of_that_image_is_said(door, kind, tmp_path):
    spoil, sentence = SAID[kind]
    if door == "model.lift" and kind in UNKNOWN:
        pytest.skip("it is given no image")
    try:
        told = brought(door, tmp_path, spoil(SEEN))[1]
    except ValueError as error:
        told = str(error)
    assert sentence in told


@pytest.mark.parametrize("told_by", ["--image-size", "the archive", "the camera"])
def test_an_image_whose_sides_are_swapped_is_refused(told_by, tmp_path, capsys):
    path, sizes = tmp_path / "seen.npz", {"image_size": (1080, 1920)}
    facts = sizes if told_by == "the archive" else {}
    np.savez(
        path, keypoints_2d=SEEN + np.array([900, 40]), skeleton="coco_17", frame_rate=50, **facts
    )
    sentence = "`image_size` must be width and height: joints fit an image of 1920 x 1080"
    if told_by == "the camera":
        camera = viewpoints.Viewpoint(intrinsics=CAMERA.intrinsics, **sizes)
        with pytest.raises(errors.ArgumentError, match=sentence):
            lift.lift(MODEL, tracks_2d_files.read(path), camera)
    else:
        size = ["--image-size", "1080", "1920"] if not facts else []
        output = ["--output", str(tmp_path / "out.npz"), "--model", "studio", "--fov", "60"]
        assert main.main(["lift", str(path), *output, *size]) == 1
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("most", [10, 100])
def test_scores_are_scaled_and_told_or_refused(door, tmp_path, most):
    scores = np.broadcast_to(np.linspace(0.5, 0.9, 17), SURE.shape)
    if door == "a detector's file":
        pose, told = brought(door, tmp_path, SEEN, most * scores)
        assert f"divided by {most}" in told
        np.testing.assert_allclose(pose, brought(door, tmp_path, SEEN, scores)[0], atol=1e-5)
    else:
        with pytest.raises(
            ValueError, match=r"`confidence` must lie in \[0, 1\]. Received: .* 90?"
        ):
            brought(door, tmp_path, SEEN, most * scores)


# Cameras that cannot be, or are hardly meant, by what is said.
CAMERAS = {
    "shares of the image": (
        lambda k: k / [[1000.0], [1000.0], [1.0]],
        {},
        "focal length in pixels",
    ),
    "millimeters": (lambda k: k * [[0.03], [0.03], [1.0]], {}, "focal length in pixels"),
    "a center outside": (lambda k: k - [[0, 0, 1000], [0, 0, 1000], [0, 0, 0]], {}, "principal"),
    "another order": (
        lambda k: k * [[1], [0.4], [1]],
        {},
        "pixels are hardly so far from square",
    ),
    "a lens in other units": (lambda k: k, {"distortion": np.array([500.0, 0, 0, 0, 0])}, "k1, k2"),
}


@pytest.mark.parametrize("kind", CAMERAS)
@pytest.mark.parametrize("door", ["lift", "model.lift"])
def test_a_camera_that_cannot_be_is_said(door, kind):
    change, lens, sentence = CAMERAS[kind]
    camera = viewpoints.Viewpoint(intrinsics=change(CAMERA.intrinsics), image_size=SIZE, **lens)
    if door == "model.lift" and "pixels" not in sentence:
        pytest.skip("it is given neither image nor lens")
    tracks = tracks_2d.of_arrays(SEEN, SURE, joint_names=skeletons.COCO_17.joints)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", errors.InputWarning)
        try:
            if door == "lift":
                lift.lift(MODEL, tracks, camera, frame_rate=50.0)
            else:
                MODEL.lift(SEEN, SURE, camera, skeleton="coco_17")
        except ValueError as error:
            told = [*told, error]
    assert any(sentence in str(getattr(each, "message", each)) for each in told)


def coco_results(folder, keypoints, animals=()):
    """Writes people of category 1 and animals of 18 as results of COCO's."""
    entries = [
        {"image_id": frame, "category_id": kind, "keypoints": np.insert(k, 2, 0.8, -1).tolist()}
        for kind, seen in ((1, keypoints), (18, animals))
        for frame, k in enumerate(seen)
    ]
    path = folder / "results.json"
    path.write_text(json.dumps(entries))
    return path


def test_animals_among_people_are_left_out_and_told(tmp_path):
    path = coco_results(tmp_path, SEEN, 0.3 * SEEN + 500)
    with pytest.warns(errors.InputWarning, match="of category 18 is left out"):
        tracks = tracks_2d_files.read(path)
    assert tracks.names == ("person 1",)
    np.testing.assert_allclose(tracks.keypoints_2d[0], SEEN)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_table_of_a_spreadsheet_is_read_with_its_marks(tmp_path, mark):
    expected = as_table(SEEN, SURE, tmp_path)
    path = tmp_path / "seen.csv"
    text = path.read_text().replace(",", mark)
    path.write_text("\ufeff" + (text.replace(".", ",") if mark == ";" else text))
    pose, told = lift_tracks(tracks_2d_files.read(path))
    np.testing.assert_allclose(pose, expected[0])
    assert told == expected[1]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"frame,joint,x,y,x\n0,nose,1,2,3\n", "`header` must name each column once"),
        ("a.json.gz", b"\x1f\x8b", "packed files: unpack them"),
        ("a.json", b"\x1f\x8b\x08", "`file` must be JSON. Received: a gzip file"),
        ("a.npy", b"\x93NUMPY", "save it as .npz, with the name `keypoints_2d`"),
        ("a.png", b"\x89PNG", "find the joints in it first"),
        ("j/1.json", b'{"people": [{"pose_keypoints_2d": [1, 2, 3, 4]}]}', "Received: 4 numbers"),
        ("j/cam1/1.json", b"{}", "`*.json` must exist. Received: cam1 alone"),
    ],
)
def test_what_another_file_is_is_said(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(errors.RecordingError, match=re.escape(sentence)):
        tracks_2d_files.read(tmp_path / name.partition("/")[0])


def test_joints_of_another_set_are_read_as_it_or_told(tmp_path):
    h36m = people.walking("h36m_17")[:12]
    pose, told = as_archive(h36m, SURE, tmp_path, skeleton=None)
    assert "joints read as h36m_17's by where they lie" in told
    expected, _ = lift_tracks(tracks_2d.of_arrays(h36m, SURE))
    np.testing.assert_allclose(pose, expected, atol=1e-5)
    _, told = brought("model.lift", tmp_path, h36m)
    assert "`keypoints_2d` look like h36m_17's joints" in told


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rigs") / "rig"
    simulated_rigs.write_rig(folder, num_frames=40, num_clips=1)
    return folder


def spoiled(rig, folder, spoil):
    """Copies a rig with what `spoil` makes of each person, `[25, 3]`."""
    for path in rig.rglob("*"):
        target = folder / path.relative_to(rig)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif path.suffix != ".json":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        else:
            content = json.loads(path.read_text())
            for person in content["people"]:
                numbers = np.reshape(person["pose_keypoints_2d"], (-1, 3))
                person["pose_keypoints_2d"] = np.ravel(spoil(numbers)).tolist()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(content))
    return folder


def points(change):
    return lambda person: np.concatenate(
        [np.where(person[:, 2:] > 0, change(person[:, :2]), 0.0), person[:, 2:]], axis=1
    )


REFUSED = {
    "shares of the image": (points(lambda x: x / 1000), r"be pixels.*shares of the image's size"),
    "from -1 to 1": (points(lambda x: x / 500 - 1), r"be pixels.*shares of the image's size"),
    "percents": (points(lambda x: x / 10), r"be pixels.*percents of the image's size"),
    "scores up to 10": (lambda p: p * [1, 1, 10], r"another `max_score` be told, likely 10"),
    "infinite": (points(lambda x: x * np.inf), "be finite"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("door", ["check-rig", "calibrate", "adapt", "the source"])
def test_what_no_rig_can_be_read_from_is_refused_at_each_door(rig, tmp_path, capsys, kind, door):
    spoil, sentence = REFUSED[kind]
    folder = str(spoiled(rig, tmp_path / "rig", spoil))
    output = str(tmp_path / "out.toml")
    arguments = {"calibrate": ["--refine", "--output", output]}
    arguments["adapt"] = ["--model", "studio", "--output", str(tmp_path / "model")]
    if door == "the source":
        source = recordings.RigSource(root=folder)
        with pytest.raises(errors.RecordingError, match=sentence):
            source.read(source.clips()[0])
    else:
        assert main.main([door, folder, *arguments.get(door, [])]) == 1
        error = capsys.readouterr().err
        assert re.search(sentence, error)
        assert len(error.strip().splitlines()) == 1
        assert not pathlib.Path(output).exists()


def copied(folder):
    """Has the second camera's files say what the first one's do, or its place be the first's."""
    first, second = sorted(folder.rglob("cam_*_json"))[:2]
    for path in [*second.iterdir()]:
        path.unlink()
    for path in first.iterdir():
        (second / path.name).write_bytes(path.read_bytes())


def in_tables(change):
    """Has the calibration's tables changed, `[cam_01, cam_02, ...]`."""

    def spoil(folder):
        path = folder / "Calib.toml"
        tables = calibration_files.read_tables(path)
        change([table for name, table in tables.items() if name.startswith("cam")])
        path.write_text(tomli_w.dumps(tables))

    return spoil


def one_place(tables):
    tables[1] |= {key: tables[0][key] for key in ("rotation", "translation")}


def degrees(tables):
    for table in tables:
        table["rotation"] = np.degrees(table["rotation"]).tolist()


COPIED = {
    "a camera's files": (copied, "be each camera's own.*the same of cameras 1 and 2 in"),
    "a camera's place": (in_tables(one_place), "their own. Received: the same of cam_1, cam_2"),
    "degrees": (in_tables(degrees), "be a rotation vector in radians.*as of degrees"),
}


@pytest.mark.parametrize("kind", COPIED)
@pytest.mark.parametrize("door", ["check-rig", "the source"])
def test_what_is_certainly_not_meant_of_a_rig_is_refused(rig, tmp_path, capsys, kind, door):
    spoil, sentence = COPIED[kind]
    folder = spoiled(rig, tmp_path / "rig", lambda person: person)
    spoil(folder)
    source = recordings.RigSource(root=str(folder))
    if door == "check-rig":
        assert main.main([door, str(folder)]) == 1
        assert re.search(sentence, capsys.readouterr().err)
    else:
        with pytest.raises(errors.RecordingError, match=sentence):
            source.read(source.clips()[0])


def test_a_person_whom_one_camera_alone_saw_is_of_no_distance(rig, tmp_path, capsys):
    folder = spoiled(rig, tmp_path / "rig", lambda person: person)
    path = folder / "rig.yaml"
    content = yaml.safe_load(path.read_text())
    content["clips"][0]["views"] = dict([*content["clips"][0]["views"].items()][:1])
    path.write_text(yaml.safe_dump(content))
    main.main(["check-rig", str(folder)])
    told = capsys.readouterr().out
    assert "in no frame seen by two cameras" in told
    assert "nan" not in told


NAMED = {
    "half the size": (points(lambda x: x / 2), "calibrated_at_twice_size"),
    "a width of 3/4": (points(lambda x: x * [0.75, 1]), "calibrated_at_four_thirds_width"),
    "y upwards": (points(lambda x: [0, 1000] + x * [1, -1]), "y_grows_upwards"),
    "zeros with a score": (
        lambda p: np.where((np.arange(25) % 6 == 3)[:, np.newaxis], [0, 0, 0.9], p),
        "Nothing wrong found",
    ),
    "as it is": (lambda p: p, "Nothing wrong found"),
}


@pytest.mark.parametrize("kind", NAMED)
def test_check_rig_names_what_pixels_are(rig, tmp_path, capsys, kind):
    spoil, name = NAMED[kind]
    status = main.main(["check-rig", str(spoiled(rig, tmp_path / "rig", spoil))])
    told = capsys.readouterr().out
    assert name in told
    assert (status, told.count("error:")) == ((0, 0) if "Nothing" in name else (1, 1))


def renamed(tables):
    for number, table in enumerate(tables, 1):
        table["name"] = f"Camera {number:02d}"
    tables.reverse()


@pytest.mark.parametrize("size", [[520.0, 1000.0], [1000.0, 520.0], [1000.0, 1000.0]])
def test_a_rig_is_warned_of_images_that_are_turned(rig, tmp_path, capsys, size):
    folder = spoiled(rig, tmp_path / "rig", points(lambda x: x / 2 + [450, 0]))
    in_tables(lambda tables: tables[1].update(size=size))(folder)
    main.main(["check-rig", str(folder)])
    told = (
        "camera cam_2: joints fit an image of 1000 x 520, and the calibration's has these swapped"
    )
    assert (told in capsys.readouterr().err) == (size[0] < size[1])


@pytest.mark.parametrize("door", ["check-rig", "calibrate", "the source", "lift"])
def test_cameras_called_otherwise_in_the_calibration_are_joined_at_each_door(
    rig, tmp_path, capsys, door
):
    folder = spoiled(rig, tmp_path / "rig", lambda person: person)
    in_tables(renamed)(folder)
    path = folder / "Calib.toml"
    if door == "lift":
        known = viewpoints.read(rig / "Calib.toml", "cam_2")
        with pytest.warns(errors.InputWarning, match="joined by name: Camera 02 is cam_2"):
            found = viewpoints.read(path, "cam_2")
        np.testing.assert_array_equal(found.center, known.center)
    elif door == "the source":
        found, known = (recordings.RigSource(root=str(each)).rig for each in (folder, rig))
        assert found.names == known.names
        np.testing.assert_array_equal(found.camera.center, known.camera.center)
    else:
        output = ["--output", str(tmp_path / "out.toml")]
        far = np.linalg.norm(
            np.subtract(*recordings.RigSource(root=str(rig)).rig.camera.center[:2])
        )
        distance = ["--distance", "cam1", "CAM 2", f"{far:.3f}", *output]
        assert main.main([door, str(folder), *(distance if door == "calibrate" else ())]) == 0
        assert ("cam_2 is CAM 2" in capsys.readouterr().err) == (door == "calibrate")


PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "troubleshooting.md").read_text()
SOURCE = pathlib.Path(lift.__file__).parents[1]
# What warns of what was brought.
WARNING = [
    *sorted((SOURCE / "lifting").glob("*.py")),
    *(SOURCE / name for name in ("inference.py", "skeletons.py", "cli/lift.py")),
]


def texts(node):
    """Returns the fixed parts of what is written below a node, of two words and more."""
    constants = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
    return [each.strip() for each in constants if isinstance(each, str) and " " in each.strip()]


def warned(path):
    """Returns the fixed parts of each warning of a module."""
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef) or function.name in ("_warn", "_tell"):
            continue
        named = {
            target.id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("warnings.warn", "_warn"):
                told = call.args[0]
                found = texts(told)
                for name in (node.id for node in ast.walk(told) if isinstance(node, ast.Name)):
                    found += texts(named.get(name, ast.Constant(0)))
                yield found


@pytest.mark.parametrize("path", WARNING, ids=lambda path: path.stem)
def test_the_page_of_troubles_knows_each_warning(path):
    for parts in warned(path):
        assert any(part in PAGE for part in parts), parts


def test_the_page_of_troubles_knows_each_finding_that_is_no_mistake_of_a_calibration():
    names = set()
    for path in (SOURCE / "diagnosis").glob("*.py"):
        names |= set(re.findall(r'(?:name=|_finding\(\s*)"([a-z_]+)"', path.read_text()))
    assert {"nothing_shared", "camera_moved", "time_drift"} <= names
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
