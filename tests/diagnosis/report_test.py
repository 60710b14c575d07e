import json
import pathlib
import re

import jsonschema
import numpy as np
import pytest

from keras_mvlift.diagnosis import mistakes as diagnosis_mistakes
from keras_mvlift.diagnosis import report
from tests.diagnosis import planted

DOCS = pathlib.Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "check_rig.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PAGE = (DOCS / "check_rig.md").read_text()


def data(reports):
    # Through JSON, which knows no NaN.
    return json.loads(json.dumps(report.as_data(reports), allow_nan=False))


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("num_views", [2, 4])
def test_a_healthy_rig_keeps_the_schema(num_views):
    figures = data(report.check(planted.sequences(num_views)))
    VALIDATOR.validate(figures)
    assert figures["is_healthy"]
    (rig,) = figures["rigs"]
    assert rig["findings"] == []
    assert rig["corrected"] is None
    left_out = rig["as_read"]["cameras"]["camera_1"]["leave_one_out_px"]["median"]
    assert (left_out is None) == (num_views == 2)


def test_a_rig_with_a_mistake_keeps_the_schema_and_is_measured_again():
    figures = data(report.check(planted.spoiled_sequences("millimeters_for_meters")))
    VALIDATOR.validate(figures)
    assert not figures["is_healthy"]
    (rig,) = figures["rigs"]
    assert [finding["name"] for finding in rig["findings"]] == ["millimeters_for_meters"]
    tall, mended = (rig[key]["person"]["height_m"] for key in ("as_read", "corrected"))
    assert tall == pytest.approx(1000 * mended, rel=0.02)


def test_a_figure_under_another_name_is_refused():
    figures = data(report.check(planted.sequences(2)))
    figures["rigs"][0]["as_read"]["person"]["height"] = 1.0
    assert not VALIDATOR.is_valid(figures)


def test_rigs_are_checked_one_by_one():
    clips = [*planted.sequences(2), *planted.spoiled_sequences("rotation_transposed")]
    reports = report.check(clips)
    assert [rig.has_errors for rig in reports] == [False, True]
    VALIDATOR.validate(data(reports))


@pytest.mark.parametrize(
    ("clips", "max_frames", "rule"),
    [
        ([], 10, "at least one clip"),
        ([planted.select(planted.sequences()[0], [0])], 10, "two or more cameras"),
        ([planted.sequences()[0].frames(slice(0, 0))], 10, "each with frames"),
        (planted.sequences(), 0, "`max_frames` must be positive. Received: 0"),
    ],
)
def test_what_cannot_be_checked_is_refused_by_rule(clips, max_frames, rule):
    with pytest.raises(ValueError, match=rule):
        report.check(clips, max_frames)


def test_a_single_frame_can_be_checked():
    VALIDATOR.validate(data(report.check([planted.sequences()[0].frames(slice(0, 1))])))


def test_nobody_at_all_can_be_checked():
    clip = planted.sequences()[0]
    empty = report.dataclasses.replace(clip, confidence=0 * clip.confidence)
    figures = data(report.check([empty]))
    VALIDATOR.validate(figures)
    names = [finding["name"] for finding in figures["rigs"][0]["findings"]]
    assert names[0] == "nothing_shared"


def test_the_page_names_every_cause():
    named = set(re.findall(r"`(\w+)`", PAGE))
    mistakes = (*diagnosis_mistakes.CALIBRATION_MISTAKES, *diagnosis_mistakes.IMAGE_MISTAKES)
    assert {mistake.name for mistake in mistakes} <= named
    others = "time_shift cameras_out_of_order distortion_removed_twice calibration_off unexplained"
    assert set(others.split()) <= named


def test_another_joint_set_is_named_where_left_and_right_are_not_alike():
    right = planted.sequences(3)
    # Two joints of a limb and of the head change places.
    order = list(range(17))
    order[2], order[13], order[9], order[5] = 13, 2, 5, 9

    def shuffled(clip):
        keypoints_2d, confidence = clip.keypoints_2d[:, :, order], clip.confidence[:, :, order]
        return report.dataclasses.replace(clip, keypoints_2d=keypoints_2d, confidence=confidence)

    wrong = [shuffled(clip) for clip in right]
    readings = {"other": lambda: wrong, "body_25": lambda: right}
    (checked,) = report.check(wrong, readings=readings)
    assert [finding.name for finding in checked.found] == ["joint_set"]
    assert checked.found[0].details == {"skeleton": "body_25"}
    VALIDATOR.validate(data([checked]))
    (checked,) = report.check(right, readings={"other": lambda: pytest.fail("is not asked for")})
    assert checked.found == []


EXACT = {"noise_px": 0.0, "gross_error_rate": 0.0, "missing_rate": 0.0, "dropped_view_rate": 0.0}


def test_what_is_measured_of_exact_footage_is_the_truth():
    clean = planted.footage(**EXACT)
    truth = np.concatenate([clip.pose_world for clip in planted.sequences(**EXACT)])[:, 0]
    measured = report.measure(clean)
    expected = np.linalg.norm(truth - clean.camera.center[:, np.newaxis], axis=-1)
    np.testing.assert_allclose(measured.distance, np.median(expected, axis=1), atol=0.01)
    assert np.nanmedian(np.linalg.norm(measured.path - truth, axis=-1)) < 1e-3
    assert measured.person.in_front == 1.0
    assert measured.nobody.tolist() == [0.0] * 4
    assert measured.is_offset_told.all()
    assert np.abs(measured.bias).max() < 0.01


def test_noise_shows_in_every_error():
    measured = report.measure(planted.footage())
    assert 1.5 < np.nanmedian(measured.error) < np.nanmedian(measured.left_out_error) < 10
    assert 1 < np.nanmedian(measured.pair_error) < 8


def test_who_stands_still_tells_no_time_offset():
    still = planted.still(planted.footage(**EXACT))
    noise = np.random.default_rng(0).normal(1.0, 2.0, still.keypoints_2d.shape)
    still = still.replace_images(still.keypoints_2d + noise, still.confidence)
    assert not report.measure(still).is_offset_told.any()
