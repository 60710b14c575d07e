import copy
import pathlib

import jsonschema
import pytest
import yaml

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import calibration_files as calibration_formats
from keras_mvlift.datasets.rigs import calibrations, clocks, manifests
from keras_mvlift.datasets.rigs import detections as detection_formats
from tests import refusals
from tests.untrusted import damage

DOCS = pathlib.Path(__file__).parents[3] / "docs" / "rigs.md"
CONTENT = {
    "version": 1,
    "frame_rate": 50,
    "calibration": {"file": "calib.toml", "format": "pose2sim", "unit": "mm", "up": "y"},
    "detections": {"format": "openpose", "skeleton": "body_25b"},
    "cameras": ["cam1", "cam2"],
    "clips": [
        {
            "name": "anna",
            "subject": "anna",
            "action": "yoga",
            "test": True,
            "reference": "anna.trc",
            "views": {
                "cam1": {"path": "a/cam1_json", "first_frame": 3},
                "cam2": {"path": "a/cam2_json", "timestamps": "a/cam2.csv"},
            },
        },
        {
            "name": "ben",
            "subject": "ben",
            "action": "walk",
            "frame_rate": 25.0,
            "num_frames": 9,
            "start": 1.5,
            "views": {"cam1": {"path": "b/cam1_json"}},
        },
    ],
}


def write(folder, content):
    path = folder / "rig.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def changed(*place, to):
    """Returns the manifest with one place set, or removed if `to` is None."""
    content = copy.deepcopy(CONTENT)
    target = content
    for key in place[:-1]:
        target = target[key]
    if to is None:
        del target[place[-1]]
    else:
        target[place[-1]] = to
    return content


def test_every_field_is_read_and_the_others_have_defaults(tmp_path):
    path = write(tmp_path, CONTENT)
    manifest = manifests.read(tmp_path)
    assert manifest == manifests.read(path)
    anna, ben = manifest.clips
    assert manifest[1:3] == (50.0, ("calib.toml", "pose2sim", "mm", "y"))
    assert (manifest.path, manifest.detections) == (path, ("openpose", "body_25b", 1.0))
    assert manifest.cameras == ("cam1", "cam2")
    views = {"cam1": ("a/cam1_json", 3, ""), "cam2": ("a/cam2_json", 0, "a/cam2.csv")}
    assert anna == ("anna", "anna", "yoga", views, True, 50.0, 0, None, "anna.trc", 1)
    views = {"cam1": ("b/cam1_json", 0, "")}
    assert ben == ("ben", "ben", "walk", views, False, 25.0, 9, 1.5, "", 1)


def test_what_may_be_left_out_may(tmp_path):
    content = changed("cameras", to=None)
    content["calibration"] = {"file": "calib.toml", "format": "opencv"}
    write(tmp_path, content)
    manifest = manifests.read(tmp_path)
    assert manifest.cameras == ()
    assert manifest.calibration == ("calib.toml", "opencv", "", "z")


VIEWS, CAM = ("clips", 0, "views"), "clips[0].views.cam"


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        (changed("version", to=2), "version", "be 1. Received: 2"),
        (changed("version", to=None), "manifest.version", "be there. Received: nothing"),
        (changed("frame_rate", to=0.02), "frame_rate", "be at least 1. Received: 0.02"),
        (changed("frame_rate", to=1e9), "frame_rate", "be at most 1000. Received: 1000000000.0"),
        (changed("frame_rate", to=float("nan")), "frame_rate", "be of type number. Received: nan"),
        (changed("frame_rate", to="50"), "frame_rate", "be of type number. Received: '50'"),
        (changed("calibration", "unit", to="inch"), "calibration.unit", "be one of m, cm, mm"),
        (changed("calibration", "format", to=None), "calibration.format", "be there"),
        (changed("calibration", "fromat", to=""), "calibration", "'fromat'; did you mean format?"),
        (changed("clip", to=[]), "manifest", "Received: 'clip'; did you mean clips?"),
        (changed("detections", "skeleton", to="coco"), "detections.skeleton", "be one of h36m_17"),
        (changed("cameras", to=["cam1"]), "cameras", "have at least 2 entries"),
        (changed("cameras", to=["cam1", "cam1"]), "cameras", "name each once"),
        (changed("cameras", to=[1, 2]), "cameras[0]", "be of type string. Received: 1"),
        (changed("cameras", to=["cam1", "cam3"]), "clips[0].views", "the cameras cam1, cam3.*cam2"),
        (changed("clips", to=[]), "clips", "have at least 1 entries"),
        (changed("clips", 1, "name", to="anna"), "clips[1].name", "be each clip's own.*anna"),
        (changed("clips", 0, "name", to="../anna"), "clips[0].name", "match .*'../anna'"),
        (changed("clips", 0, "name", to="anna\n"), "clips[0].name", "match "),
        (changed("clips", 0, "subject", to=""), "clips[0].subject", "not be empty"),
        (changed("clips", 0, "test", to="maybe"), "clips[0].test", "be of type boolean"),
        (changed("clips", 1, "num_frames", to=9.0), "clips[1].num_frames", "of type integer"),
        (changed("clips", 1, "start", to=float("inf")), "clips[1].start", "of type number"),
        (changed("clips", 0, "views", to={}), "clips[0].views", "have at least 1 entries"),
        (changed(*VIEWS, "cam1", "first_frame", to=-1), f"{CAM}1.first_frame", "at least 0. .* -1"),
        (changed(*VIEWS, "cam2", "file", to="x"), f"{CAM}2", "no key but path, first_frame, time"),
        ([1, 2], "manifest", "be of type object"),
        (None, "manifest", "be of type object. Received: None"),
    ],
)
def test_what_breaks_the_schema_is_refused_by_field_rule_and_value(
    tmp_path, content, field, message
):
    path = write(tmp_path, content)
    refusals.refused(message, manifests.read, tmp_path, at=(path, field))


def test_a_folder_has_one_manifest(tmp_path):
    refusals.refused("be the folder's one manifest. Received: none", manifests.read, tmp_path)
    write(tmp_path, CONTENT).rename(tmp_path / "rig.yml")
    assert manifests.find(tmp_path) == tmp_path / "rig.yml"
    write(tmp_path, CONTENT)
    refusals.refused(r"Received: rig.yaml and rig.yml", manifests.read, tmp_path)


def test_the_schema_is_one_and_names_what_the_readers_know():
    schema = manifests.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    calibration = schema["properties"]["calibration"]["properties"]
    detections = schema["properties"]["detections"]["properties"]
    assert set(calibration["format"]["enum"]) == set(calibration_formats.FORMATS)
    assert set(calibration["unit"]["enum"]) == set(errors.UNITS)
    assert set(calibration["up"]["enum"]) == set(calibrations.UP_AXES)
    assert set(detections["format"]["enum"]) == set(detection_formats.READERS)
    assert set(detections["skeleton"]["enum"]) == set(skeletons.SKELETONS)


def test_the_schema_allows_clips_as_long_as_the_clocks_do():
    clip = manifests.schema()["$defs"]["clip"]["properties"]
    assert clip["num_frames"]["maximum"] == clocks.MAX_FRAMES


def test_the_example_of_the_documentation_is_a_manifest(tmp_path):
    example = DOCS.read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "rig.yaml").write_text(example)
    manifest = manifests.read(tmp_path)
    assert [clip.name for clip in manifest.clips if clip.test] == ["ben_walk"]


def test_the_documentation_names_every_field():
    text = DOCS.read_text()
    schema = manifests.schema()
    clip, view = schema["$defs"]["clip"]["properties"], schema["$defs"]["view"]["properties"]
    fields = {*schema["properties"], *clip, *view, *skeletons.SKELETONS}
    assert [field for field in sorted(fields) if f"`{field}`" not in text] == []


def test_damaged_manifests_end_in_our_error(tmp_path):
    path = write(tmp_path, CONTENT)
    assert damage.assert_only_our_errors(lambda: manifests.read(path), path, count=150) > 60
