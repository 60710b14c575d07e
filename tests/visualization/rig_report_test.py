import html.parser
import re
import xml.etree.ElementTree

import numpy as np
import pytest

from keras_mvlift.diagnosis import report
from keras_mvlift.visualization import rig_report, tables
from tests.diagnosis import planted

# Attributes by which a page loads something.
LOADING = {"src", "href", "xlink:href", "data", "action", "poster", "srcset"}


class Reader(html.parser.HTMLParser):
    """Gathers a page's text and what it would load."""

    def __init__(self, page):
        super().__init__()
        self.words, self.loaded, self.tags = [], [], []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [value for name, value in attrs if name in LOADING]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def spoiled():
    return report.check(planted.spoiled_sequences("opengl_axes", 3, [1]))


def test_the_findings_are_at_the_top_in_plain_words(spoiled):
    page = Reader(rig_report.render(spoiled)).text
    (finding,) = spoiled[0].found
    assert finding.name == "opengl_axes"
    assert "1 error found." in page
    assert finding.sentence in page
    assert finding.remedy in page
    assert page.index(finding.sentence) < page.index("Cameras, once mended")


def test_the_page_loads_nothing(spoiled):
    page = rig_report.render(spoiled)
    read = Reader(page)
    assert not {"link", "img", "iframe", "object"} & set(read.tags)
    assert "default-src 'none'" in page
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in read.loaded)
    assert all(url.startswith("#") for url in re.findall(r"url\(([^)]*)\)", page))
    assert "@import" not in page


def test_a_healthy_rig_is_said_to_be():
    reports = report.check(planted.sequences(2))
    page = rig_report.render(reports)
    assert "Nothing wrong found." in page
    assert page.count("<svg") == len(rig_report.PLOTS)
    assert rig_report.render(reports) == page


def test_names_are_escaped():
    (rig,) = report.check(planted.sequences(2))
    page = rig_report.render([rig._replace(clips=("<script>alert(1)</script>",))])
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_worst_frame_is_linked_to_its_picture(spoiled):
    page = rig_report.render(spoiled)
    for salt in ("0-after", "0"):
        assert f'href="#worst-{salt}"' in page
        assert page.count(f'id="worst-{salt}"') == 1
    (rig,) = spoiled
    error = rig.as_read.error.copy()
    error[2, 7] += 1e4
    told = rig_report._worst(rig.footage, rig.as_read._replace(error=error))
    assert (told.view, told.moment) == (2, 7)
    name, frame = rig.footage.camera_names[2], rig.footage.frame[7]
    assert told.words.startswith(f"{name} in frame {frame} of {rig.clips[0]}, 1")


def test_each_finding_says_where_help_is(spoiled):
    assert "<code>docs/check_rig.md</code>, “opengl_axes”" in rig_report.render(spoiled)


def test_the_best_camera_of_each_figure_is_bold(spoiled):
    page = rig_report.render(spoiled)
    headings, rows = tables.rows(spoiled[0])
    for name in ("90 %\npx", "Left out\npx"):
        figures = [row[headings.index(name)] for row in rows]
        bold = set(re.findall(rf'data-label="{name}"><strong>([\d.]+)</strong>', page))
        assert bold == {min(figures, key=float)} < set(figures)
    assert 'data-label="Distance\nm"><strong>' not in page


def test_twelve_cameras_have_twelve_different_lines():
    lines = {tuple(rig_report.camera_line(view).items()) for view in range(12)}
    assert len(lines) == 12


EACH = pytest.mark.parametrize("draw", [draw for _, draw, *_ in rig_report.PLOTS])
SIZE = (6.0, 4.0)


@pytest.fixture(scope="module")
def shown():
    footage = planted.footage(num_views=3)
    return footage, report.measure(footage)


@EACH
def test_a_plot_is_svg_and_the_same_each_time(draw, shown):
    drawn = rig_report.plot(draw, SIZE, *shown, "0")
    assert xml.etree.ElementTree.fromstring(drawn).tag.endswith("svg")
    assert rig_report.plot(draw, SIZE, *shown, "0") == drawn


@EACH
def test_what_is_not_known_is_left_out(draw, shown):
    footage, measured = shown
    unknown = measured._replace(
        error=np.full_like(measured.error, np.nan),
        pair_error=np.full_like(measured.pair_error, np.nan),
        path=np.full_like(measured.path, np.nan),
        offsets=measured.offsets._replace(curve=np.full_like(measured.offsets.curve, np.nan)),
    )
    assert rig_report.plot(draw, SIZE, footage, unknown, "0").startswith("<svg")
