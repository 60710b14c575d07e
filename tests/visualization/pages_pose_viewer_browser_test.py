"""Pages in a real browser, cut off from the network: the viewer of poses, and the reports."""

import pytest

from keras_mvlift.visualization import pages as visualization_pages
from tests.visualization import browser, pose_clips, sample_pages

FRAME = "Number(document.querySelector('#time').value)"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    binary = browser.find()
    if binary is None:
        pytest.skip("no Chromium found: scripts/browser.sh fetches one")
    with browser.started(binary, tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
def show(chromium, tmp_path):
    """Opens a clip's page; afterwards it must have had no trouble."""
    pages = []

    def opened(clip, images=None, **options):
        visualization_pages.write_viewer(clip, tmp_path / "page.html", images=images)
        page = chromium.open(tmp_path / "page.html", **options)
        page.settle()
        pages.append(page)
        return page

    yield opened
    assert [trouble for page in pages for trouble in page.troubles()] == []


def middle(page, selector):
    box = f"document.querySelector({selector!r}).getBoundingClientRect()"
    left, top, width, height = page.evaluate(
        f"(({{x, y, width, height}}) => [x, y, width, height])({box})"
    )
    return left + width / 2, top + height / 2


def label(page, selector):
    return page.evaluate(f"document.querySelector({selector!r}).getAttribute('aria-label')")


def test_it_plays_and_pauses(show):
    page = show(pose_clips.compared(600))
    before = page.pixels("#stage")
    page.click("#play")
    assert label(page, "#play") == "Pause"
    page.wait(f"{FRAME} >= 5")
    page.click("#play")
    assert label(page, "#play") == "Play"
    stopped = page.evaluate(FRAME)
    page.settle()
    assert page.evaluate(FRAME) == stopped
    assert page.pixels("#stage") != before


def test_it_ends_at_the_last_frame_where_it_does_not_loop(show):
    page = show(pose_clips.compared())
    page.click("#loop")
    page.press(" ", " ")
    # The last frame is shown for as long as any before the player stops.
    page.wait("document.querySelector('#play').getAttribute('aria-label') === 'Play'")
    assert page.evaluate(FRAME) == 11


def test_it_scrubs_with_the_slider_and_in_the_error_curve(show):
    page = show(pose_clips.compared())
    first = page.pixels("#stage"), page.pixels("#image"), page.pixels("#curve")
    page.evaluate("document.querySelector('#time').value = 7")
    page.evaluate("void document.querySelector('#time').dispatchEvent(new Event('input'))")
    page.settle()
    seen = page.pixels("#stage"), page.pixels("#image"), page.pixels("#curve")
    assert all(new != old for new, old in zip(seen, first, strict=True))
    assert page.evaluate("document.querySelector('#now').textContent") == "0.23 s · frame 7"
    x, y = middle(page, "#curve")
    page.drag((x - 200, y), (1279, y - 90))
    assert page.evaluate(FRAME) == 11


def test_keys_go_frame_by_frame_from_the_first_on(show):
    page = show(pose_clips.clip(first_frame=40))
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.press(key)
    assert page.evaluate(FRAME) == 2
    assert "frame 42" in page.evaluate("document.querySelector('#now').textContent")
    page.press("End")
    assert page.evaluate(FRAME) == 11
    page.press("Home")
    assert page.evaluate(FRAME) == 0


def test_each_skeleton_is_hidden_and_shown_by_its_name(show):
    page = show(pose_clips.compared())
    every = page.pixels("#stage")
    names = "[...document.querySelectorAll('#tracks .name')].map((name) => name.textContent)"
    assert page.evaluate(names) == ["ray root", "paper", "reference"]
    for index in range(3):
        page.click(f"#show-{index}")
        assert page.pixels("#stage") != every
        page.press(str(index + 1), str(index + 1))
        assert page.pixels("#stage") == every


def test_the_errors_are_told(show):
    page = show(pose_clips.compared())
    told = "[...document.querySelectorAll('#tracks small')].map((error) => error.textContent)"
    assert page.evaluate(told) == ["0.0 mm now, mean 0.0 mm", "23.5 mm now, mean 23.5 mm"]


def test_a_drag_turns_the_wheel_zooms_and_reset_undoes_both(show):
    page = show(pose_clips.clip())
    x, y = middle(page, "#stage")
    home = page.pixels("#stage")
    page.drag((x, y + 200), (x + 90, y + 220))
    turned = page.pixels("#stage")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
    page.settle()
    zoomed = page.pixels("#stage")
    assert len({home, turned, zoomed}) == 3
    page.mouse("mouseMoved", 1, 1)
    page.click("#reset")
    assert page.pixels("#stage") == home


def test_a_finger_turns_it_and_two_zoom(show):
    page = show(pose_clips.clip())
    page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    x, y = middle(page, "#stage")
    seen = [page.pixels("#stage")]
    # What two fingers turn by going apart would cancel.
    for fingers, moves in (([(0, 220)], [80]), ([(-60, 220), (60, 220)], [-40, 40])):
        points = [{"x": x + dx, "y": y + dy, "id": id} for id, (dx, dy) in enumerate(fingers)]
        page.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=points)
        for finger, move in zip(points, moves, strict=True):
            finger["x"] += move
        page.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=points)
        page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        page.settle()
        seen.append(page.pixels("#stage"))
    assert len(set(seen)) == 3


def test_the_joint_under_the_pointer_is_named(show):
    page = show(pose_clips.compared())
    page.click("#show-0")
    page.click("#show-2")
    x, y = middle(page, "#stage")
    for step in range(-300, 300, 12):
        page.mouse("mouseMoved", x, y + step)
        page.settle()
        text = page.evaluate("document.querySelector('#tip').textContent")
        if text.startswith("spine"):
            break
    assert text.splitlines() == [
        "spine · paper",
        "x 0.00  y 0.00  z 1.15 m",
        "confidence 0.90",
        "0 mm off, pelvis on pelvis",
    ]


def tip(page):
    return page.evaluate("document.querySelector('#tip').textContent").splitlines()


def test_keys_tell_the_values_of_joint_after_joint(show):
    page = show(sample_pages.from_camera())
    page.press("j")
    assert tip(page)[0] == "pelvis · person 1"
    # 4 m from the camera less 0.8 m, 1.5 m above less the pelvis' 0.9 m, tilted.
    assert tip(page)[1] == "x 0.00  y 0.02  z 3.26 m"
    assert tip(page)[3] == "± 60 mm"
    assert tip(page)[4].endswith("px off what was lifted")
    assert 0 < float(tip(page)[4].split()[0]) < 10
    page.press("j")
    assert tip(page)[0] == "right hip · person 1"


def test_who_is_seen_poorly_is_hidden_until_asked_for(show):
    page = show(sample_pages.from_camera())
    shown = "[...document.querySelectorAll('#tracks input')].map((box) => box.checked)"
    told = "document.querySelector('#doubtful-name').textContent"
    assert page.evaluate(shown) == [True, False]
    assert page.evaluate(told) == "Poorly seen people (1)"
    before = page.pixels("#stage")
    page.click("#doubtful")
    assert page.evaluate(shown) == [True, True]
    assert page.pixels("#stage") != before


def test_camera_and_path_are_drawn_and_put_away(show):
    page = show(sample_pages.from_camera(), images={0: sample_pages.photograph()})
    assert page.evaluate("document.querySelector('#camera').checked")
    seen = [page.pixels("#stage")]
    page.click("#camera")
    seen.append(page.pixels("#stage"))
    for joint in ("13", "-1"):
        page.evaluate(f"document.querySelector('#path').value = {joint!r}")
        page.evaluate("void document.querySelector('#path').dispatchEvent(new Event('change'))")
        page.settle()
        seen.append(page.pixels("#stage"))
    assert len(set(seen)) == 4
    narrow = show(sample_pages.from_camera(), width=390, height=844)
    assert not narrow.evaluate("document.querySelector('#camera').checked")


def test_the_first_view_turns_until_it_is_touched(show):
    page = show(sample_pages.from_camera(), is_moving=True)
    first = page.pixels("#stage")
    page.wait(f"document.querySelector('#stage').toDataURL() !== {first!r}")
    page.press("x")
    stopped = page.pixels("#stage")
    for _ in range(5):
        page.settle()
    assert page.pixels("#stage") == stopped


def test_an_image_is_drawn_behind_the_keypoints_from_its_frame_on(show):
    def third(images):
        page = show(pose_clips.clip(), images=images)
        for _ in range(3):
            page.press("ArrowRight")
        return page

    plain = third({4: pose_clips.DOT}).pixels("#image")
    page = third({3: pose_clips.DOT})
    page.wait(f"document.querySelector('#image').toDataURL() !== {plain!r}")


@pytest.mark.parametrize("space", ["root", "camera", "world"])
def test_people_that_come_and_go_are_shown_in_every_space(show, space):
    other = pose_clips.track("person 2", shift=(1.0, 0.0, 0.0))
    other.pose[3:6] = other.keypoints_2d[3:6] = float("nan")
    page = show(pose_clips.clip(pose_clips.track(), other, space=space, image_size=None))
    for _ in range(4):
        page.press("ArrowRight")
    assert page.evaluate("document.querySelector('#spread').checked") == (space == "root")


def test_a_page_without_input_and_reference_shows_neither(show):
    fields = {"confidence": None, "keypoints_2d": None, "keypoint_confidence": None}
    page = show(pose_clips.clip(pose_clips.track(num_frames=1, **fields)))
    assert page.evaluate("document.querySelector('#input').hidden")
    assert page.evaluate("document.querySelector('#errors').hidden")
    page.click("#play")


def test_it_is_dark_where_the_reader_likes_it_dark(show):
    color = "getComputedStyle(document.body).backgroundColor"
    dark = show(pose_clips.clip(), is_dark=True)
    light = show(pose_clips.clip())
    assert dark.evaluate(color) != light.evaluate(color)
    light.press("t", "t")
    assert dark.evaluate(color) == light.evaluate(color)
    light.click("#theme")
    assert dark.evaluate(color) != light.evaluate(color)


@pytest.mark.parametrize("width", [360, 768, 1600])
def test_nothing_is_wider_than_the_window(show, width):
    page = show(pose_clips.compared(), width=width, height=700)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module")
def every_page(tmp_path_factory):
    return sample_pages.write(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [390, 1440])
def test_every_page_fits_says_nothing_and_keeps_nobody_out(chromium, every_page, width, is_dark):
    if not browser.AXE.is_file():
        pytest.skip("no axe-core found: scripts/browser.sh fetches it")
    for path in every_page:
        page = chromium.open(path, width, 844, is_dark=is_dark)
        page.settle()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.stem
        assert page.violations() == [], path.stem
        assert page.troubles() == [], path.stem


def test_who_cannot_read_a_page_is_noticed(chromium, tmp_path):
    if not browser.AXE.is_file():
        pytest.skip("no axe-core found: scripts/browser.sh fetches it")
    page = tmp_path / "bad.html"
    page.write_text("<html><title>t</title><p style='color:#ccc;background:#fff'>pale<input>")
    found = "".join(chromium.open(page).violations())
    assert all(name in found for name in ("color-contrast", "html-has-lang", "label"))


def test_a_heading_sorts_its_table_by_number_and_back(chromium, every_page):
    page = chromium.open(next(path for path in every_page if path.stem == "experiments"))
    rows = "[...document.querySelector('table.dense').tBodies[0].rows]"
    names = f"{rows}.map((row) => row.cells[0].textContent)"
    heading = "document.querySelector('table.dense th:nth-child(3)')"
    assert page.evaluate(names) == ["ours", "other", "not run"]
    page.evaluate(f"{heading}.firstChild.click()")
    assert page.evaluate(f"{heading}.ariaSort") == "ascending"
    page.evaluate(f"{heading}.firstChild.click()")
    # What is not known stays last.
    assert page.evaluate(names) == ["other", "ours", "not run"]
    assert page.evaluate(f"{heading}.ariaSort") == "descending"


def test_the_browser_reports_what_goes_wrong(chromium, tmp_path):
    # Else a page in trouble would look as if it had none.
    page = tmp_path / "bad.html"
    page.write_text(
        "<img src='http://127.0.0.1:9/x.png'><script>console.error(1); nothing()</script>"
    )
    opened = chromium.open(page)
    opened.settle()
    troubles = "".join(opened.troubles())
    assert all(word in troubles for word in ("127.0.0.1", "nothing is not defined", '"value": 1'))
