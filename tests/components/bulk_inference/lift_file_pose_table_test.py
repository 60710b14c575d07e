import json

import numpy as np
import pyarrow as pa
import pytest

from components.bulk_inference import lift_file, readers
from keras_mvlift import inference
from tests import tiny_studio
from tests.components.bulk_inference import stored_views


@pytest.fixture(scope="module")
def lifter(tmp_path_factory):
    return inference.load_model(stored_views.save_model(tmp_path_factory.mktemp("m") / "saved"))


def views(num_rows, has_place):
    drawn = stored_views.columns(num_rows)
    keys = {name: pa.nulls(num_rows, kind) for name, kind in readers.KEYS.items()}
    numbers = {name: drawn[name] for name in readers.NUMBERS}
    return readers.Views(numbers, np.array(has_place, bool), keys)


def test_the_schema_tells_shapes_units_frames_and_joints(lifter):
    columns = lift_file.schema(lifter)
    names = ["root_relative_pose", "root_position", "pose_camera", "pose_world"]
    assert columns.names == [*readers.KEYS, *names]
    shapes = {name: columns.field(name).metadata[b"shape"] for name in names}
    assert shapes == dict.fromkeys(names, b"[17, 3]") | {"root_position": b"[3]"}
    assert {columns.field(name).metadata[b"unit"] for name in names} == {b"m"}
    assert columns.field("pose_world").metadata[b"frame"] == b"world"
    assert [columns.field(name).nullable for name in names] == [False, False, False, True]
    assert json.loads(columns.metadata[b"joint_names"]) == list(lifter.joint_names)


def test_a_view_without_place_has_no_world_pose(lifter):
    seen = views(3, [True, False, True])
    table = lift_file.lift(lifter, seen, lift_file.schema(lifter))
    table.validate(full=True)
    found = table.column("pose_world").to_pylist()
    assert found[1] is None
    camera = np.reshape(table.column("pose_camera").to_pylist(), (3, 17, 3))
    world = np.einsum("nji,nkj->nki", seen.numbers["rotation"], camera)
    world += seen.numbers["center"][:, np.newaxis]
    for row in (0, 2):
        np.testing.assert_allclose(np.reshape(found[row], (17, 3)), world[row], atol=1e-5)


def test_no_views_are_no_rows(lifter):
    table = lift_file.lift(lifter, views(0, []), lift_file.schema(lifter))
    assert len(table) == 0


def test_what_a_model_tells_of_its_error_is_there(tmp_path):
    model = tiny_studio.trained_uncertainty()
    tiny_studio.save(model, tmp_path / "saved", uncertainty=True)
    lifter = inference.load_model(tmp_path / "saved")
    columns = lift_file.schema(lifter)
    assert columns.field("joint_uncertainty").metadata[b"shape"] == b"[17]"
    seen = views(4, [True] * 4)
    table = lift_file.lift(lifter, seen, columns)
    expected = lifter.lift(*(seen.numbers[name] for name in readers.REQUIRED)).joint_uncertainty
    np.testing.assert_array_equal(table.column("joint_uncertainty").to_pylist(), expected)
