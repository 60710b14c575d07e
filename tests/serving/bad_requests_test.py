"""Bad requests of every kind, by both protocols, to a stand-in that runs the real SavedModel."""

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets import tfrecords
from keras_mvlift.serving import clients
from tests import tiny_studio
from tests.serving import stand_in

RNG = np.random.default_rng(0)
GOOD = {
    "keypoints_2d": RNG.uniform(300, 700, (2, 17, 2)).astype(np.float32),
    "confidence": np.ones((2, 17), np.float32),
    "intrinsics": np.tile(tiny_studio.INTRINSICS, (2, 1, 1)),
}
UPRIGHT = np.tile(np.eye(3, dtype=np.float32), (2, 1, 1))
PLACE = {"rotation": UPRIGHT, "center": np.zeros((2, 3))}
SCHEMES = ["grpc", "http"]


def changed(name, value, index=(0, 1)):
    array = np.array((GOOD | PLACE)[name])
    array[index] = value
    return {name: array}


# What is changed, what is named and, of those that are found here, the kind of error.
HERE, THERE = errors.ArgumentError, clients.ServerError
VIEWS = {
    "joint count": (
        {"keypoints_2d": GOOD["keypoints_2d"][:, :16]},
        r"\[2,16,2\] is not .* \[\?,17,2\].*node keypoints_2d_must_have_the_stated_shape",
        THERE,
    ),
    "rank": ({"keypoints_2d": np.zeros(34)}, r"\[34\].*keypoints_2d_must_have", THERE),
    "one confidence for all": (
        {"confidence": np.ones((1, 17))},
        r"`confidence` must be of as many views as `keypoints_2d`.*\[1\] \[2\]",
        THERE,
    ),
    "one camera for all": (
        {"intrinsics": GOOD["intrinsics"][:1]},
        r"`intrinsics` must be of as many views.*\[1\] \[2\]",
        THERE,
    ),
    "camera's shape": ({"intrinsics": np.ones((2, 4, 4))}, r"\[2,4,4\].*intrinsics_must", THERE),
    "infinity": (changed("keypoints_2d", -np.inf), "`keypoints_2d` must be finite, ", THERE),
    "confidence nan": (changed("confidence", np.nan), r"`confidence` must lie in \[0, 1\]", THERE),
    "confidence -1": (changed("confidence", -1), r"`confidence` must lie in \[0, 1\]", THERE),
    "confidence 2": (changed("confidence", 2), r"`confidence` must lie in \[0, 1\]", THERE),
    "focal 0": (changed("intrinsics", 0, (1, 0, 0)), "`intrinsics` must be .* focal", THERE),
    "focal -1": (changed("intrinsics", -1, (1, 1, 1)), "`intrinsics` must be .* focal", THERE),
    "camera nan": (changed("intrinsics", np.nan), "`intrinsics` must be finite", THERE),
    "last row": (changed("intrinsics", 1, (0, 2, 0)), "0, 0, 1 as last row", THERE),
    "missing": ({"intrinsics": None}, "does not match signature.*intrinsics", THERE),
    "unknown": ({"shoes": np.zeros(2)}, "does not match signature.*shoes", THERE),
    "words": ({"confidence": ["sure"] * 2}, "`confidence` must be an array of numbers", HERE),
    "ragged": ({"keypoints_2d": [[1], [1, 2]]}, "`keypoints_2d` must be an array of num", HERE),
    "nothing": ({"keypoints_2d": [None]}, "keypoints_2d", THERE),
    "objects": ({"keypoints_2d": np.array([{}, {}])}, "`keypoints_2d` must be an arr", HERE),
    "bytes": ({"keypoints_2d": [b"a", b"b"]}, "keypoints_2d", THERE),
}
PLACES = {
    "scaled": ({"rotation": 2 * UPRIGHT}, "`rotation` must be a rotation"),
    "mirror": ({"rotation": -UPRIGHT}, "`rotation` must be a rotation"),
    "rotation's shape": ({"rotation": np.ones((2, 4, 4))}, r"\[2,4,4\].*rotation_must_have"),
    "center nan": ({"center": np.full((2, 3), np.nan)}, "`center` must be finite"),
    "center's shape": ({"center": np.zeros((2, 4))}, r"\[2,4\].*center_must_have"),
    "one center for all": ({"center": np.zeros((1, 3))}, "`center` must be of as many views"),
}


def records(**columns):
    told = {**GOOD, **PLACE, **columns}
    return tfrecords.encode({name: array for name, array in told.items() if array is not None})


RECORDS = {
    "no record": ([b"\xff\x00junk"], "Could not parse example"),
    "empty": ([b""], "Feature: .* is required but could not be found"),
    "no camera": (records(intrinsics=None), "intrinsics .* is required but could not be found"),
    "joint count": (records(keypoints_2d=np.ones((2, 16, 2))), "Key: keypoints_2d.*17,2"),
    "numbers": (np.zeros(3), "serving_examples_examples"),
    "infinity": (records(**changed("keypoints_2d", np.inf)), "`keypoints_2d` must be finite, .*or"),
}


@pytest.fixture(scope="module", params=SCHEMES)
def client(request, folder):
    with stand_in.serving({1: folder}) as (_, found):
        yield clients.connect(clients.parse(f"{found[request.param]}/mvlift"), 10.0)


@pytest.fixture(autouse=True)
def _stays_up(client):
    yield
    answer = client.predict("lift_camera", GOOD)
    assert all(np.isfinite(values).all() for values in answer.values())


def refused(client, signature, inputs, message, kind=clients.ServerError):
    with pytest.raises(kind, match=message) as caught:
        client.predict(signature, inputs)
    assert "\n" not in str(caught.value)
    if kind is clients.ServerError:
        assert caught.value.code == "INVALID_ARGUMENT"


def without_none(inputs):
    return {name: value for name, value in inputs.items() if value is not None}


@pytest.mark.parametrize("case", VIEWS)
def test_a_bad_view_is_refused_by_name(client, case):
    changes, message, kind = VIEWS[case]
    refused(client, "lift_camera", without_none(GOOD | changes), message, kind)


@pytest.mark.parametrize("case", PLACES)
def test_a_bad_place_is_refused_by_name(client, case):
    changes, message = PLACES[case]
    refused(client, "lift_world", GOOD | PLACE | changes, message)


@pytest.mark.parametrize("case", RECORDS)
def test_bad_records_are_refused_by_name(client, case):
    given, message = RECORDS[case]
    refused(client, "serving_examples", {"examples": given}, message)


def test_a_joint_at_nan_was_not_seen_whatever_its_confidence(client):
    unseen = client.predict("lift_camera", GOOD | changed("confidence", 0.0))
    at_nan = client.predict("lift_camera", GOOD | changed("keypoints_2d", np.nan))
    for name, values in unseen.items():
        np.testing.assert_allclose(at_nan[name], values, atol=1e-5)


def test_a_signature_that_is_not_there_is_named(client):
    with pytest.raises(clients.ServerError, match=r"lift_moon.*have this signature") as caught:
        client.predict("lift_moon", GOOD)
    assert caught.value.code == "FAILED_PRECONDITION"


def test_numbers_of_any_type_are_sent_in_single_precision(client):
    lists = {name: value.tolist() for name, value in GOOD.items()}
    answer = client.predict("lift_camera", lists | {"confidence": np.ones((2, 17), int)})
    assert answer["pose_camera"].shape == (2, 17, 3)


def test_a_joint_that_was_not_seen_may_lie_nowhere(client):
    unseen = changed("keypoints_2d", np.nan) | changed("confidence", 0)
    answer = client.predict("lift_camera", GOOD | unseen)
    assert np.isfinite(answer["pose_camera"]).all()
