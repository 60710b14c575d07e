import dataclasses
import io

from keras_mvlift.diagnosis import footage, report
from keras_mvlift.visualization import rig_text
from tests.diagnosis import planted


def check(name=None, num_views=3):
    clips = planted.sequences(num_views)
    if name:
        camera = planted.spoil(footage.of_sequences(clips), name).camera
        clips = [dataclasses.replace(clip, camera=camera) for clip in clips]
    return report.check(clips)


def test_a_healthy_rig_ends_with_nothing_wrong_found():
    page = rig_text.render(check())
    assert page.splitlines()[-1] == "Nothing wrong found."
    assert page.startswith("3 cameras, 300 frames at 25 Hz of S01_walking_01, S01_turning_01")
    for name in ("camera_1", "camera_2", "camera_3"):
        assert name in page


def test_a_finding_is_told_with_its_remedy():
    (rig,) = check("rotation_transposed")
    page = " ".join(rig_text.render([rig]).split())
    (finding,) = rig.found
    assert "error: rotation_transposed" in page
    assert finding.sentence in page
    assert finding.remedy in page
    assert rig_text.headline(rig) == "1 error found."


def test_what_two_cameras_cannot_tell_is_a_dash():
    (rig,) = check(num_views=2)
    headings, rows = rig_text.rows(rig)
    assert [row[headings.index("Left out\npx")] for row in rows] == ["-", "-"]


def test_lines_keep_to_the_width_asked_for():
    page = rig_text.render(check("millimeters_for_meters"), width=90)
    assert max(map(len, page.splitlines())) <= 90


def test_what_an_encoding_lacks_is_escaped():
    (rig,) = check()
    (rig,) = [rig._replace(clips=("Gehen → links",))]
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, "ascii", write_through=True)
    rig_text.show([rig], file)
    assert b"Gehen \\u2192 links" in raw.getvalue()
