import copy
import io
import re

import pytest

from keras_mvlift.diagnosis import report
from keras_mvlift.visualization import tables
from tests.diagnosis import planted
from tests.visualization import conftest

FIGURES = ("mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm", "pck_150", "auc")
ROWS = {
    "mean over actions": ("mean_over_actions",),
    "mean over views": ("overall",),
    "median over cameras": ("median_over_cameras",),
    "action walking": ("per_action", "walking"),
    "action balancing": ("per_action", "balancing"),
    "camera cam1": ("per_camera", "cam1"),
    "camera cam2": ("per_camera", "cam2"),
}


def render(results, width=tables.WIDTH):
    return tables.rendered(tables.parts(results), max(width, tables.MIN_WIDTH))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def _at(figures, path):
    for key in path:
        figures = figures[key]
    return figures


def _row(page, name):
    (line,) = [line for line in page.splitlines() if line.startswith(f"{name} ")]
    return line.removeprefix(name).split()


@pytest.mark.parametrize(("name", "path"), ROWS.items())
def test_a_row_has_the_models_figures_and_then_the_baselines_mpjpe(results, name, path):
    figures = _at(results, path)
    expected = [f"{figures[name]:.1f}" for name in FIGURES]
    for baseline in conftest.BASELINES:
        expected.append(f"{_at(results['baselines'][baseline], path)['mpjpe_mm']:.1f}")
    views = [str(figures["num_examples"])] if "num_examples" in figures else []
    assert _row(render(results), name) == views + expected


def test_the_headline_comes_first(results):
    lines = render(results).splitlines()
    rule = next(index for index, line in enumerate(lines) if re.fullmatch("-+", line))
    assert lines[rule + 1].startswith("mean over actions ")


def test_columns_stand_in_the_order_of_their_headings(results):
    page = render(results)
    heads = "Views MPJPE N-MPJPE P-MPJPE PCK@150 AUC triangu- nearest constant".split()
    above = "".join(page.partition("---")[0].splitlines(keepends=True))
    ends = [re.search(rf"(?<![\w-]){re.escape(head)}", above).end() for head in heads]
    widths = [len(above[:end].splitlines()[-1]) for end in ends]
    assert widths == sorted(widths)
    assert len(set(widths)) == len(widths)


def test_a_baseline_that_was_not_measured_stays_blank(results):
    del results["baselines"]["triangulation"]
    assert len(_row(render(results), "action walking")) == 1 + len(FIGURES) + 2


def test_a_blessed_model_is_shown_with_the_code_that_uses_it(results):
    page = render(results)
    assert re.search(r"^Blessed +yes$", page, re.M)
    assert re.search(rf"^Model +{results['model']}$", page, re.M)
    assert f'model = keras_mvlift.load_model("{results["model"]}")\n' in page


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "pose2sim: trial_1\n"),
        ({}, "5460 training pairs, 160 test views\n"),
        ({}, "from recordings/first\n"),
        ({}, "solved_root, seed 7\n"),
        ({"bounds": {"mpjpe_mm": 80.0}}, "yes: mpjpe_mm {overall[mpjpe_mm]:.1f} (bound 80.0)"),
        ({"bounds": {"held_out_median_mm": 60.0}}, "yes: held_out_median_mm 22.5 (bound 60.0)"),
        ({"bounds": {"nearest_view_ratio": 0.9}}, "yes: nearest_view_ratio 0.46 (bound 0.90)"),
        ({"model": "folder/" * 40}, 'load_model("{model}")\n'),
    ],
)
def test_what_a_run_gave_is_told_in_a_line(results, changes, told):
    results |= changes
    assert told.format(**results) in render(results)


def test_of_many_clips_the_first_are_named_and_the_others_counted(results):
    results["data"]["clips"] = [f"clip_{index}" for index in range(12)]
    assert "clip_0, clip_1, clip_2 and 9 more\n" in render(results)


def test_a_model_that_is_not_blessed_is_shown_with_each_reason(failed):
    page = render(failed)
    assert re.search(r"^Blessed +no$", page, re.M)
    for reason in failed["reasons"]:
        assert f"- {reason}\n" in page
    assert re.search(rf"^Model +not pushed; kept in {failed['trained']}$", page, re.M)
    assert "the settings' `bounds` decide what is pushed" in page
    assert "load_model" not in page


def test_a_page_keeps_to_100_columns(failed):
    for kind in ("per_action", "per_camera"):
        failed[kind] = {f"{name} {'long ' * 20}": value for name, value in failed[kind].items()}
    failed["reasons"] = ["A reason of many words. " * 10]
    page = render(failed, 100)
    assert max(map(len, page.splitlines())) <= 100
    assert page.count("words.") == 10


@pytest.mark.parametrize("width", [20, 80])
def test_no_name_or_number_is_cut_on_a_narrow_terminal(results, width):
    results["per_action"]["a_name_without_a_blank"] = results["per_action"].pop("walking")
    page = render(results, width).partition("Blessed")[0]
    assert max(map(len, page.splitlines())) <= tables.MIN_WIDTH
    names = "".join(line[:13].strip() for line in page.splitlines())
    assert "a_name_without_a_blank" in names
    for path in ROWS.values():
        for name in FIGURES if "walking" not in path else ():
            assert f"{_at(results, path)[name]:.1f}" in page


def test_a_stream_that_is_no_terminal_gets_the_plain_page(results):
    stream = io.StringIO()
    tables.show(tables.parts(results), stream)
    assert stream.getvalue() == render(results)
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_the_headline_in_bold(results, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    tables.show(tables.parts(results), terminal)
    assert "\x1b[1mmean over actions" in terminal.getvalue()


def test_an_ascii_stream_gets_every_line_in_ascii(results):
    results["per_camera"]["Kamera für Füße"] = copy.deepcopy(results["per_camera"]["cam1"])
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    tables.show(tables.parts(results), stream)
    stream.flush()
    page = stream.buffer.getvalue().decode("ascii")
    assert "Kamera f\\xfcr" in page
    assert len(page.splitlines()) == len(render(results).splitlines())


def test_clips_that_could_not_be_used_are_counted_and_their_list_is_named(results):
    assert "not usable" not in render(results)
    results["data"] |= {"lost_clips": 2, "dead_letters": "artifacts/dead_letters.json"}
    assert "not usable: 2 clips, listed in artifacts/dead_letters.json\n" in render(results)


def test_joints_that_triangulation_or_the_reference_lack_are_told(results):
    page = render(results)
    assert "Triangulation places" not in page
    assert re.search(r"^Reference +recorded$", page, re.M)
    results["baselines"]["triangulation"]["overall"]["coverage"] = 98.76
    results["data"]["reference_coverage"] = 94.1
    page = render(results)
    assert "\nTriangulation places 98.8 % of the joints; the others do not count.\n" in page
    assert re.search(r"^Reference +recorded, 94.1 % of the joints$", page, re.M)
    assert max(map(len, page.splitlines())) <= tables.WIDTH


def test_what_was_left_out_is_counted(results):
    assert "left out: 3 views with too few joints" in render(results)
    results["data"]["counts"]["out_of_sync_cameras"] = 5
    told = "left out: 5 cameras out of sync, 3 views with too few joints"
    assert told in render(results)
    results["data"]["counts"] |= {"unfollowed_people": 1, "dropped_views": 1}
    told = "left out: 5 cameras out of sync, 1 bystander, 1 view with too few joints"
    assert told in render(results)


def test_the_score_without_labels_is_told_in_a_line(results):
    (line,) = [line for line in render(results).splitlines() if line.startswith("Held out")]
    assert line.endswith("median 4.5 px, 22.5 mm; 40 held-out instants, no labels")
    del results["held_out"]
    assert "Held out" not in render(results)


def test_a_run_on_spans_tells_which_they_are_where_it_started_and_what_drifted(results):
    assert "Spans" not in render(results)
    drift = {
        "span": 7,
        "compared_with": 5,
        "flagged": ["source/confidence"],
        "measured": {"source/confidence": 0.31234},
        "thresholds": {"source/confidence": 0.05},
    }
    start = {"model": "Trainer.Finetune/model/12", "note": ""}
    told = {"data": results["data"] | {"spans": [5, 7]}, "warm_start": start, "drift": drift}
    page = render(results | told)
    assert "Spans      5, 7\n           went on from the last blessed model, Trainer.Fine" in page
    unlike = "Drift      span 7 is unlike span 5: source/confidence 0.312 (at most 0.05)\n"
    assert unlike in page
    calm = told | {"drift": drift | {"flagged": []}, "warm_start": {"model": None, "note": "New."}}
    page = render(results | calm)
    assert "Drift      none: span 7 is like span 5\n" in page
    assert "           New.\n" in page
    start = {"model": "studio", "note": "Training started from studio."}
    assert "Start      Training started from studio.\n" in render(results | {"warm_start": start})
    first = drift | {"flagged": [], "compared_with": None}
    assert "Drift" not in render(results | told | {"drift": first})


def test_the_report_says_for_whom_a_model_of_few_is_good(results):
    line = "the person trained on, in poses like those of the 910 training instants; others need"
    assert line in render(results)
    of_many = results["data"] | {"train_people": 5, "train_instants": 1000}
    assert "Good for" not in render(results | {"data": of_many})
    of_few = results["data"] | {"train_people": 5, "train_instants": 999}
    assert "Good for   the 5 people trained on" in render(results | {"data": of_few})


def test_what_was_found_of_the_rig_is_told_with_what_to_do(results):
    assert "Rig" not in render(results)
    assert "Rig        nothing wrong is found\n" in render(results | {"rig": []})
    finding = {"severity": "warning", "sentence": "It is off.", "remedy": "Refine it."}
    rig = [finding | {"name": name} for name in ("calibration_off", "frames_off")]
    page = render(results | {"rig": rig})
    assert "Rig        warning: calibration_off\n           It is off. Refine it.\n" in page
    assert "           warning: frames_off\n" in page


def test_what_was_chosen_between_is_laid_out_with_scores_and_errors(results):
    assert "Chosen between" not in render(results)
    errors = {"mpjpe_mm": 70.06, "n_mpjpe_mm": 66.7, "p_mpjpe_mm": 54.5}
    tried = {
        "chosen": "started",
        "start_from": "studio",
        # As a file of sorted keys has them.
        "held_out": {name: {"mean_mm": mm} for name, mm in (("scratch", 90.0), ("started", 60.04))},
        "test": {"scratch": errors, "started": errors | {"mpjpe_mm": 74.0}},
    }
    page = render(results | {"candidates": tried})
    lines = page.splitlines()
    (first,) = [
        index for index, line in enumerate(lines) if line.startswith("* studio, trained on")
    ]
    assert lines[first].split()[-4:] == ["60.0", "74.0", "66.7", "54.5"]
    assert lines[first + 1].startswith("  trained from random weights")
    assert lines[first + 1].split()[-4:] == ["90.0", "70.1", "66.7", "54.5"]


def check(name=None, num_views=3):
    if name is None:
        return report.check(planted.sequences(num_views))
    return report.check(planted.spoiled_sequences(name, num_views))


def test_a_healthy_rig_ends_with_nothing_wrong_found():
    page = tables.rendered(tables.rig_parts(check()), tables.WIDTH)
    assert page.splitlines()[-1] == "Nothing wrong found."
    assert page.startswith("3 cameras, 300 frames at 25 Hz of S01_walking_01, S01_turning_01")
    for name in ("camera_1", "camera_2", "camera_3"):
        assert name in page


def test_a_finding_is_told_with_its_remedy():
    (rig,) = check("rotation_transposed")
    page = " ".join(tables.rendered(tables.rig_parts([rig]), tables.WIDTH).split())
    (finding,) = rig.found
    assert "error: rotation_transposed" in page
    assert finding.sentence in page
    assert finding.remedy in page
    assert tables.headline(rig) == "1 error found."


def test_what_two_cameras_cannot_tell_is_a_dash():
    (rig,) = check(num_views=2)
    headings, rows = tables.rows(rig)
    assert [row[headings.index("Left out\npx")] for row in rows] == ["-", "-"]


def test_lines_keep_to_the_width_asked_for():
    page = tables.rendered(tables.rig_parts(check("millimeters_for_meters")), 90)
    assert max(map(len, page.splitlines())) <= 90


def test_what_an_encoding_lacks_is_escaped():
    (rig,) = check()
    (rig,) = [rig._replace(clips=("Gehen → links",))]
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, "ascii", write_through=True)
    tables.show(tables.rig_parts([rig]), file)
    assert b"Gehen \\u2192 links" in raw.getvalue()
