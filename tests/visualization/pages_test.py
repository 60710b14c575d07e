"""What the pose viewer's scripts compute; the claims are in pose_viewer_scripts.js."""

import base64
import dataclasses
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import hypothesis
import jinja2
import numpy as np
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as hypothesis_arrays

from keras_mvlift.visualization import pages
from tests.visualization import pose_clips


def test_no_text_in_data_can_end_its_script():
    text = pages.page_data({"name": "</script><b>&"})
    assert "<" not in text
    assert ">" not in text
    assert json.loads(text) == {"name": "</script><b>&"}


def test_numbers_that_are_not_finite_are_no_data():
    with pytest.raises(ValueError, match="JSON"):
        pages.page_data([float("nan")])


def test_a_value_that_the_template_needs_cannot_be_left_out():
    with pytest.raises(jinja2.UndefinedError):
        pages.fill("rig_report.html", title="Rigs")


def test_the_best_of_a_column_is_by_its_rank_and_counts_are_no_figures():
    rows = [
        ["a", "50.0 ± 1.0 (3)", "72.0", "3.0"],
        ["b", "49.5", "72.5 (1)", "3.0"],
        ["c", "1 diverged", "-", "-"],
    ]
    assert pages.best_cells(rows, [0, -1, 1, -1]) == {(1, 1), (1, 2)}
    assert pages.best_cells(rows, [0, 0, 0, 0]) == set()


def unpack(packed):
    dtype = np.dtype(packed["type"]).newbyteorder("<")
    whole = np.frombuffer(base64.b64decode(packed["data"]), dtype)
    values = np.array(packed["offset"]) + packed["step"] * whole.reshape(-1, len(packed["offset"]))
    values[(whole == packed["absent"]).reshape(values.shape)] = np.nan
    return values


def test_a_golden_array():
    # In steps of 1 mm from 1 m: 0, 1, absent.
    packed = pages.pack(np.array([[1.0], [1.0012], [np.nan]]), 0.001)
    assert packed == {
        "type": "uint8",
        "offset": [1.0],
        "step": 0.001,
        "absent": 255,
        "data": base64.b64encode(bytes([0, 1, 255])).decode(),
    }


@hypothesis.given(
    hypothesis_arrays.arrays(
        np.float64,
        strategies.tuples(strategies.integers(1, 20), strategies.integers(1, 3)),
        elements=strategies.floats(-1e4, 1e4) | strategies.just(np.nan),
    )
)
def test_values_come_back_to_half_a_step_and_absent_ones_absent(values):
    np.testing.assert_allclose(unpack(pages.pack(values, 0.01)), values, atol=0.005 + 1e-6)


@pytest.mark.parametrize(
    ("reach", "kind"), [(254, "uint8"), (255, "uint16"), (65534, "uint16"), (65535, "uint32")]
)
def test_the_smallest_type_that_leaves_a_value_for_absent_is_taken(reach, kind):
    packed = pages.pack(np.array([[7.0], [7.0 + reach]]), 1.0)
    assert packed["type"] == kind
    np.testing.assert_array_equal(unpack(packed), [[7.0], [7.0 + reach]])


def test_too_many_steps_are_refused():
    with pytest.raises(ValueError, match="must span fewer than"):
        pages.pack(np.array([[0.0], [1e10]]), 1.0)


CLAIMS = pathlib.Path(__file__).with_name("pose_viewer_scripts.js")
# The first whose test runner is stable.
OLDEST_NODE = 20


def node():
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node found")
    version = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version.strip()} is older than {OLDEST_NODE}")
    return found


def test_all_claims_about_the_scripts_hold():
    result = subprocess.run([node(), "--test", CLAIMS], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "# fail 0" in result.stdout
    assert "# pass 0" not in result.stdout


class Page(html.parser.HTMLParser):
    """Tells the elements and their attributes, the data, and the text outside scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.data, self._inside = [], None, None
        self.words = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("type", "code") if tag == "script" else tag

    def handle_data(self, data):
        if self._inside == "application/json" and self.data is None:
            self.data = json.loads(data)
        elif self._inside not in ("code", "style", "application/json"):
            self.words.append(data)


def viewer(clip, **options):
    with tempfile.TemporaryDirectory() as folder:
        pages.write_viewer(clip, pathlib.Path(folder, "page.html"), **options)
        return pathlib.Path(folder, "page.html").read_text(encoding="utf-8")


def test_the_page_needs_no_network():
    text = viewer(pose_clips.compared())
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttpRequest|import\(|WebSocket", text)
    links = [attrs.get("src") or attrs.get("href") for _, attrs in Page(text).elements]
    assert set(filter(None, links)) == {"data:,"}
    policies = [attrs["content"] for _, attrs in Page(text).elements if "http-equiv" in attrs]
    assert policies[0].startswith("default-src 'none';")


def test_every_control_has_a_label():
    page = Page(viewer(pose_clips.compared()))
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    for name in ("aria-labelledby", "aria-describedby", "for"):
        assert {attrs[name] for _, attrs in page.elements if name in attrs} <= ids
    time = next(attrs for _, attrs in page.elements if attrs.get("id") == "time")
    assert time["aria-label"] == "Frame"


def test_the_pose_is_in_the_page_to_the_millimeter():
    clip = pose_clips.compared()
    packed = Page(viewer(clip)).data["tracks"][1]["pose"]
    whole = np.frombuffer(base64.b64decode(packed["data"]), packed["type"]).reshape(12, 17, 3)
    found = np.array(packed["offset"]) + packed["step"] * whole
    np.testing.assert_allclose(found, clip.tracks[1].pose, atol=0.0005 + 1e-9)


def test_errors_are_the_papers_and_those_in_space():
    clip = pose_clips.compared()
    pose = clip.tracks[0].pose + np.array([0.0, 0.03, 0.04])
    moved = dataclasses.replace(clip.tracks[0], pose=pose)
    clip = dataclasses.replace(clip, tracks=(moved, *clip.tracks[1:]))
    data = Page(viewer(clip)).data
    told = [[(e["name"], e["mean"]) for e in track["errors"]] for track in data["tracks"]]
    assert told[0] == [("MPJPE", 0.0), ("error as it stands", 50.0)]
    # 400 mm at one joint of 17.
    assert told[1][0] == ("MPJPE", 23.5)
    assert told[2] == []


def test_root_relative_poses_have_one_kind_of_error():
    clip = dataclasses.replace(pose_clips.compared(), space="root")
    data = Page(viewer(clip)).data
    assert [error["name"] for error in data["tracks"][0]["errors"]] == ["MPJPE"]


def test_ten_thousand_frames_take_a_few_megabytes():
    num_frames = 10_000
    rng = np.random.default_rng(0)
    track = pose_clips.track(
        num_frames=num_frames,
        confidence=rng.uniform(size=(num_frames, 17)),
        keypoint_confidence=rng.uniform(size=(num_frames, 17)),
        shift=rng.normal(size=(num_frames, 17, 3)),
    )
    reference = pose_clips.track("reference", num_frames, is_reference=True)
    assert len(viewer(pose_clips.clip(track))) < 3e6
    assert len(viewer(pose_clips.clip(track, reference))) < 6e6


def test_names_and_notes_are_text_and_no_markup():
    clip = pose_clips.clip(pose_clips.track("</script><b>"), about={"<i>": ["<u>", {"a": 1}]})
    text = viewer(clip, title="<b>Title")
    page = Page(text)
    assert not {"b", "i", "u"} & {tag for tag, _ in page.elements}
    assert page.data["tracks"][0]["name"] == "</script><b>"
    assert "<u>, a: 1" in page.words


def test_images_are_addresses_of_data_in_frames_of_the_clip():
    images = {5: pose_clips.DOT, 0: pose_clips.DOT}
    data = Page(viewer(pose_clips.clip(), images=images)).data
    assert [frame for frame, _ in data["images"]] == [0, 5]
    with pytest.raises(ValueError, match=r"must start with data:image/. Received: 'frame.png'"):
        viewer(pose_clips.clip(), images={0: "frame.png"})
    with pytest.raises(ValueError, match=r"`images` must be of frames below 12\. Received: 12"):
        viewer(pose_clips.clip(), images={12: pose_clips.DOT})


def test_a_page_is_called_by_its_title_and_the_same_each_time():
    page = viewer(pose_clips.clip(), title="Walk")
    assert "<title>Walk</title>" in page
    assert viewer(pose_clips.clip(), title="Walk") == page
