"""Bad input of every kind at the door of the library: what is refused, and by which name."""

import numpy as np
import pytest

from keras_mvlift import inference
from keras_mvlift.lifting import lift, tracks_2d, viewpoints
from tests import tiny_studio

KEYPOINTS = np.random.default_rng(0).uniform(300, 700, (3, 17, 2))
CONFIDENCE = np.ones((3, 17))
K = tiny_studio.INTRINSICS
EYE, ORIGIN = np.eye(3), np.zeros(3)
NAN = float("nan")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "saved"
    tiny_studio.save(tiny_studio.trained(), folder)
    return inference.load_model(folder)


def changed(array, value, index=(0, 1)):
    array = np.array(array, np.float64)
    array[index] = value
    return array


SEEN = {
    "joint count": ({"keypoints_2d": KEYPOINTS[:, :16]}, "`keypoints_2d` must have shape"),
    "rank": ({"keypoints_2d": KEYPOINTS[0, 0]}, "`keypoints_2d` must have shape"),
    "coordinates": ({"keypoints_2d": np.zeros((3, 17, 3))}, "`keypoints_2d` must have shape"),
    "words": ({"keypoints_2d": [["a", "b"]] * 17}, "`keypoints_2d` must be an array of numbers"),
    "digits": ({"keypoints_2d": KEYPOINTS.astype(str)}, "`keypoints_2d` must be an array of num"),
    "complex": ({"keypoints_2d": KEYPOINTS + 1j}, "`keypoints_2d` must be an array of numbers"),
    "ragged": ({"keypoints_2d": [[[1, 2]] * 17, [[1, 2]]]}, "`keypoints_2d` must be an array of"),
    "nothing": ({"keypoints_2d": None}, "`keypoints_2d` must be an array of numbers"),
    "fields": ({"keypoints_2d": {}}, "`keypoints_2d` must be an array of numbers"),
    "infinity": ({"keypoints_2d": changed(KEYPOINTS, np.inf)}, "`keypoints_2d` must be finite"),
    "too large": ({"keypoints_2d": changed(KEYPOINTS, 1e300)}, "`keypoints_2d` must be finite"),
    "confidence nan": ({"confidence": changed(CONFIDENCE, NAN)}, "`confidence` must"),
    "confidence -1": ({"confidence": changed(CONFIDENCE, -1)}, r"`confidence` must lie in \[0, 1"),
    "confidence 2": ({"confidence": changed(CONFIDENCE, 2)}, r"`confidence` must lie in \[0, 1"),
    "frame count": ({"confidence": CONFIDENCE[:2]}, r"`confidence` must .* \[2, 17\]"),
    "confidence in words": ({"confidence": "sure"}, "`confidence` must be an array of numbers"),
}
TRACKS = {
    "no frames": ({"keypoints_2d": KEYPOINTS[:0], "confidence": None}, "of at least one person"),
    "rate": ({"frame_rate": NAN}, "`frame_rate` must be a number above 0"),
    "rate in milliseconds": ({"frame_rate": 0.05}, "`frame_rate` must be 1 to 1000 .* millisec"),
    "rate in words": ({"frame_rate": "fast"}, "`frame_rate` must be a number. Received: 'fast'"),
    "no rate": ({"frame_rate": None}, "`frame_rate` must be given"),
    "first frame": ({"first_frame": -1}, "`first_frame` must be a whole number"),
    "joints": ({"joint_names": tuple(map(str, range(17)))}, "`joint_names` must be names of"),
    "image size": ({"image_size": (0, 9)}, "`image_size` must be width and height"),
}
CAMERAS = {
    "focal 0": ({"intrinsics": changed(K, 0, (0, 0))}, "`intrinsics` must be .* focal"),
    "focal -1": ({"intrinsics": changed(K, -1, (1, 1))}, "`intrinsics` must be .* focal"),
    "nan": ({"intrinsics": changed(K, NAN, (0, 2))}, "`intrinsics` must be"),
    "shape": ({"intrinsics": np.eye(4)}, r"`intrinsics` must be \[3, 3\]"),
    "words": ({"intrinsics": "wide"}, "`intrinsics` must be an array of numbers"),
    "scaled": ({"rotation": 2 * EYE}, r"`rotation` must be \[3, 3\], a rotation"),
    "mirror": ({"rotation": -EYE}, r"`rotation` must be \[3, 3\], a rotation"),
    "rotation nan": ({"rotation": NAN * EYE}, "`rotation` must be"),
    "rotation's shape": ({"rotation": np.eye(4)}, "`rotation` must be"),
    "center's shape": ({"center": np.zeros(4)}, r"`center` must be \[3\], finite"),
    "center nan": ({"center": NAN * ORIGIN}, "`center` must be"),
    "place by half": ({"center": None}, "`rotation` and `center` must be given together"),
    "distortion": ({"distortion": [NAN] * 5}, "`distortion` must be OpenCV's"),
    "image size": ({"image_size": (9, NAN)}, "`image_size` must be width and height"),
    "one side": ({"image_size": (9,)}, "`image_size` must be width and height"),
}


@pytest.mark.parametrize("case", SEEN)
def test_bad_joints_are_refused_by_name(model, case):
    changes, message = SEEN[case]
    seen = {"keypoints_2d": KEYPOINTS, "confidence": CONFIDENCE} | changes
    with pytest.raises(ValueError, match=message):
        model.lift(**seen, camera=K)
    with pytest.raises(ValueError, match=message):
        tracks_2d.of_arrays(**seen)


@pytest.mark.parametrize("value", [NAN, 0.0, -1.0])
def test_what_is_at_no_place_is_not_seen_in_arrays_and_tracks(model, value):
    nowhere, unseen = changed(KEYPOINTS, value), changed(CONFIDENCE, 0.0)
    lifted = model.lift(nowhere, CONFIDENCE, camera=K)
    expected = model.lift(KEYPOINTS, unseen, camera=K)
    np.testing.assert_array_equal(lifted.pose_camera, expected.pose_camera)
    assert tracks_2d.of_arrays(nowhere).confidence[0, 0, 1] == 0


@pytest.mark.parametrize("case", TRACKS)
def test_bad_tracks_are_refused_by_name(model, case):
    changes, message = TRACKS[case]
    known = {"keypoints_2d": KEYPOINTS, "confidence": CONFIDENCE, "frame_rate": 50.0}
    with pytest.raises(ValueError, match=message):
        lift.lift(model, tracks_2d.of_arrays(**known | changes), viewpoints.Viewpoint(intrinsics=K))


@pytest.mark.parametrize("case", CAMERAS)
def test_bad_cameras_are_refused_by_name(case):
    changes, message = CAMERAS[case]
    with pytest.raises(ValueError, match=message):
        viewpoints.Viewpoint(**{"intrinsics": K, "rotation": EYE, "center": ORIGIN} | changes)


@pytest.mark.parametrize("degrees", [0, 180, -5, NAN, "wide", None])
def test_bad_fields_of_view_are_refused_by_name(degrees):
    with pytest.raises(ValueError, match="`fov` must be"):
        viewpoints.from_field_of_view(degrees, (100, 100))


@pytest.mark.parametrize(
    ("row", "column", "value"), [(0, 0, 0), (1, 1, -1), (0, 2, NAN), (2, 2, 5), (2, 0, 510)]
)
def test_bad_intrinsics_are_refused_by_name(model, row, column, value):
    with pytest.raises(ValueError, match="`camera` must") as caught:
        model.lift(KEYPOINTS, camera=changed(K, value, (row, column)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("argument", ["model", "tracks", "viewpoint"])
def test_things_of_another_kind_are_refused_by_name(model, argument):
    tracks = tracks_2d.of_arrays(KEYPOINTS, frame_rate=50.0)
    known = {"model": model, "tracks": tracks, "viewpoint": viewpoints.Viewpoint(intrinsics=K)}
    with pytest.raises(ValueError, match=f"`{argument}` must .* Received: ndarray"):
        lift.lift(**known | {argument: K})
