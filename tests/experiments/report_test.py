import html.parser
import json
import re

from keras_mvlift import skeletons
from keras_mvlift.experiments import report
from tests.visualization import experiment_results

SVG = '<?xml version="1.0"?><!DOCTYPE svg><svg xmlns="http://www.w3.org/2000/svg"><g/></svg>'


class Page(html.parser.HTMLParser):
    """Tells the elements, what they link to, and the JSON that scripts hold."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.data, self._is_data = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._is_data = tag == "script" and dict(attrs).get("type") == "application/json"
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        self._is_data = False

    def handle_data(self, data):
        if self._is_data:
            self.data.append(json.loads(data))


def page():
    return report.render(experiment_results.make(), {"cameras": SVG})


def test_the_page_needs_nothing_else():
    text = page()
    assert all(link.startswith("#") for link in Page(text).links)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
    addresses = set(re.findall(r"https?://[^\"'\s<>]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}


def test_poses_and_skeleton_are_in_the_page():
    poses, skeleton = Page(page()).data
    assert [pose["name"] for pose in poses] == ["true", "ours"]
    assert poses[1]["joints"][16] == [160, -80, 16]
    assert len(skeleton["bones"]) == len(skeleton["colors"]) - 1 == 16
    assert [0, skeletons.H36M_17.joints.index("left_hip")] in skeleton["bones"]
    assert Page(page()).tags.count("canvas") == 2


def test_the_true_pose_comes_first_wherever_it_stands():
    results = experiment_results.make()
    case = results["tables"][2]["cases"][0]
    case["poses"] = dict(reversed(case["poses"].items()))
    poses = Page(report.render(results, {})).data[0]
    assert [pose["name"] for pose in poses] == ["true", "ours"]


def test_what_files_are_named_is_text_and_no_markup():
    text = page()
    assert "&lt;/script&gt;&lt;b&gt;" in text
    assert "Mind &lt;this&gt;." in text
    assert "b" not in Page(text).tags


def test_a_pose_that_holds_markup_cannot_end_its_script():
    results = experiment_results.make()
    case = results["tables"][2]["cases"][0]
    case["poses"]["</script><i>"] = case["poses"].pop("ours")
    parsed = Page(report.render(results, {}))
    assert parsed.data[0][1]["name"] == "</script><i>"
    assert "i" not in parsed.tags


def test_figures_published_tables_and_errors_are_shown():
    text = page()
    assert '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>' in text
    assert "<?xml" not in text
    assert 'class="published"' in text
    assert "other, seed 0: the loss must be finite" in text


def test_the_score_without_labels_has_a_section_of_its_own():
    results = experiment_results.make()
    text = report.render(results, {"score_without_labels": SVG})
    assert 'href="#score_without_labels"' in text
    assert "<td>0.988</td>" in text
    section = text[text.index('<h2 id="score_without_labels"') :]
    assert '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>' in section
    results["score_without_labels"] = []
    assert "score_without_labels" not in report.render(results, {})


def test_rows_that_a_short_run_leaves_out_are_named():
    assert "Further rows, not run here: long one, long two." in page()


def test_a_written_page_is_the_rendered_one(tmp_path):
    report.write(tmp_path / "report.html", experiment_results.make(), {"cameras": SVG})
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page()
