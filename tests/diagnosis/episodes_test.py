import numpy as np
import pytest

from benchmarks import rig_checks
from keras_mvlift.diagnosis import episodes, footage, moments, verdicts


def only(footage):
    (finding,) = [f for f in verdicts.reach(footage).found if f.name not in rig_checks.HARMLESS]
    return finding


@pytest.mark.parametrize("share", [0.2, 0.6])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("sides swapped", "sides_swapped"),
        ("another person", "other_person"),
        ("frozen", "camera_frozen"),
        ("bumped", "camera_moved"),
    ],
)
def test_what_holds_in_some_frames_is_named_with_camera_and_share(kind, name, share):
    draw = rig_checks.draw(7, 4, share)
    finding = only(rig_checks.PLANTED[kind][0](draw))
    camera = draw.clean.camera_names[draw.view]
    assert (finding.name, finding.cameras) == (name, (camera,))
    assert finding.severity == (footage.ERROR if share > episodes.MAX_ODD else footage.WARNING)
    assert finding.details["share"][camera] == pytest.approx(share, abs=0.05)
    assert f"{camera}" in finding.sentence


def test_a_bump_is_told_with_its_frame_and_angle():
    draw = rig_checks.draw(7, 4, 0.4)
    finding = only(rig_checks.bump(draw))
    assert finding.details["first_frame"] == {finding.cameras[0]: pytest.approx(120, abs=2)}
    assert 2 <= finding.details["turned_degrees"] <= 6
    assert finding.before > 5 * finding.after


def test_sides_swapped_in_all_cameras_for_a_while_are_told_by_anatomy():
    draw = rig_checks.draw(9, 4, 0.4)
    verdict = verdicts.reach(rig_checks.swap_all_sides(draw))
    (finding,) = [f for f in verdict.found if f.name not in rig_checks.HARMLESS]
    assert (finding.name, finding.cameras) == ("sides_swapped", draw.clean.camera_names)
    assert finding.before < -0.3 < 0.3 < finding.after
    np.testing.assert_allclose(verdict.corrected.keypoints_2d, draw.clean.keypoints_2d)


@pytest.mark.parametrize("num_cameras", [2, 3, 4])
def test_a_slow_clock_is_told_with_its_offsets_and_rate(num_cameras):
    draw = rig_checks.draw(11, num_cameras, 0.0)
    index = np.round(np.arange(200) / 0.9).astype(int)
    kept = draw.clean.frames(np.minimum(index, 199)).without(draw.in_view(index > 199))
    every = draw.in_view(np.ones(200, bool))
    finding = only(rig_checks.taken(draw.clean, kept, every))
    assert finding.name == "time_drift"
    camera = draw.clean.camera_names[draw.view]
    sign = 1 if finding.cameras == (camera,) else -1
    assert finding.details["offset_at_start"] == pytest.approx(0, abs=1.5)
    # Frame 179 shows what happens in frame 199.
    assert sign * finding.details["offset_at_end"] == pytest.approx(-19, abs=3)
    assert finding.details["frame_rate"] == pytest.approx(22.5 if sign > 0 else 27.8, abs=0.7)


# Each was given another cause once: other people, a drift, y upwards, a resolution.
@pytest.mark.parametrize(
    ("seed", "num_cameras", "degrees"),
    [
        (10, 2, 1.0),
        (13, 2, 5.0),
        (5, 2, 2.0),
        (3, 2, 10.0),
        (3, 3, 10.0),
        (2, 4, 2.0),
        (10, 4, 2.0),
    ],
)
def test_cameras_that_face_elsewhere_have_no_other_cause(seed, num_cameras, degrees):
    clean = rig_checks.draw(seed, num_cameras, 0.0).clean
    found = verdicts.reach(rig_checks.turn_all(clean, degrees, seed)).found
    (name,) = {finding.name for finding in found} - rig_checks.HARMLESS
    assert name in rig_checks.UNNAMED


@pytest.mark.parametrize("seed", [12, 16, 19])
def test_a_constant_shift_of_a_short_recording_is_no_drift(seed):
    clean = rig_checks.draw(seed, 4, 0.0).clean.frames(np.arange(60))
    early = clean.shifted(np.array([0, -7, 0, 0]))
    assert list(episodes.out_of_step(early, moments.consensus(early), 1)) == []


@pytest.mark.parametrize(
    ("kind", "seed", "num_cameras", "share", "name"),
    [
        # People who box are seen the right way round a little later, too.
        ("sides swapped", 15, 8, 0.6, "sides_swapped"),
        # Who moves little shows a clock's way with detours.
        ("other frame rate", 91, 4, 0.4, "time_drift"),
    ],
)
def test_of_what_explains_a_camera_the_better_is_named(kind, seed, num_cameras, share, name):
    draw = rig_checks.draw(seed, num_cameras, share)
    finding = only(rig_checks.PLANTED[kind][0](draw))
    assert (finding.name, finding.cameras) == (name, (draw.clean.camera_names[draw.view],))


def test_two_people_in_view_are_an_error():
    draw = rig_checks.draw(7, 3, 0.0)
    is_other = np.random.default_rng(0).uniform(size=(3, 40)).repeat(5, axis=1) < 0.5
    finding = only(rig_checks.taken(draw.clean, draw.other, is_other))
    assert (finding.name, finding.severity) == ("other_person", footage.ERROR)
    assert finding.cameras == draw.clean.camera_names


@pytest.mark.parametrize("num_cameras", [2, 3, 6, 12])
def test_clean_rigs_have_no_cause(num_cameras):
    clean = rig_checks.draw(100 + num_cameras, num_cameras, 0.0).clean
    assert list(episodes.trace(clean)) == []
    assert list(episodes.leftovers(clean)) == []


def test_the_cheapest_path_follows_low_costs_but_no_blink():
    cost = np.full((9, 7), 0.1)
    cost[np.arange(9), [3, 3, 3, 3, 4, 4, 4, 5, 5]] = 0.0
    cost[2, [3, 0]] = 0.02, 0.0
    np.testing.assert_array_equal(episodes.cheapest(cost), [3, 3, 3, 3, 4, 4, 4, 5, 5])


def test_offsets_are_followed_through_a_recording():
    draw = rig_checks.draw(12, 4, 0.0)
    offsets = np.zeros((4, 200), int)
    offsets[1] = np.arange(200) // 20
    late = draw.clean.shifted(offsets)
    found, start, end, seconds = episodes.offsets_over_time(late, moments.consensus(late), 1)
    # The camera shows early what the others show later.
    assert np.abs(found[:180] + offsets[1, :180]).mean() < 1.0
    assert (start, end) == (pytest.approx(0, abs=1), pytest.approx(-9, abs=1.5))
    assert seconds == pytest.approx(7.6, abs=0.6)
