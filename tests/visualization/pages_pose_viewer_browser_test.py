"""Pages in a real browser, cut off from the network: the viewer of poses, and the reports."""

import pytest

from keras_mvlift.visualization import pages as visualization_pages
from tests.visualization import browser, pose_clips, sample_pages

FRAME = "Number(document.querySelector('#time').value)"
WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def chromium():
    binary = browser.find()
    if binary is None:
        pytest.skip("no Chromium found: scripts/browser.sh fetches one")
    with browser.started(binary) as running:
        yield running


@pytest.fixture
def show(chromium, tmp_path):
    """Opens a clip's page; afterwards it must have had no trouble."""
    noted = []

    def opened(clip, images=None, **options):
        visualization_pages.write_viewer(clip, tmp_path / "page.html", images=images)
        page, troubles = browser.show(chromium, tmp_path / "page.html", **options)
        noted.append(troubles)
        return page

    yield opened
    assert [trouble for troubles in noted for trouble in troubles] == []


def middle(page, selector):
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def label(page, selector):
    return page.get_attribute(selector, "aria-label")


def stage(page):
    return browser.pixels(page, "#stage")


def test_it_plays_and_pauses(show):
    page = show(pose_clips.compared(600))
    before = stage(page)
    browser.click(page, "#play")
    assert label(page, "#play") == "Pause"
    browser.wait(page, f"{FRAME} >= 5")
    browser.click(page, "#play")
    assert label(page, "#play") == "Play"
    stopped = page.evaluate(FRAME)
    browser.settle(page)
    assert page.evaluate(FRAME) == stopped
    assert stage(page) != before


def test_it_ends_at_the_last_frame_where_it_does_not_loop(show):
    page = show(pose_clips.compared())
    browser.click(page, "#loop")
    page.locator("#loop").blur()
    browser.press(page, " ")
    # The last frame is shown for as long as any before the player stops.
    browser.wait(page, "document.querySelector('#play').getAttribute('aria-label') === 'Play'")
    assert page.evaluate(FRAME) == 11


def test_it_scrubs_with_the_slider_and_in_the_error_curve(show):
    page = show(pose_clips.compared())
    first = stage(page), browser.pixels(page, "#image"), browser.pixels(page, "#curve")
    page.evaluate("document.querySelector('#time').value = 7")
    page.evaluate("void document.querySelector('#time').dispatchEvent(new Event('input'))")
    browser.settle(page)
    seen = stage(page), browser.pixels(page, "#image"), browser.pixels(page, "#curve")
    assert all(new != old for new, old in zip(seen, first, strict=True))
    assert page.text_content("#now") == "0.23 s · frame 7"
    x, y = middle(page, "#curve")
    browser.drag(page, (x - 200, y), (1279, y - 90))
    assert page.evaluate(FRAME) == 11


def test_keys_go_frame_by_frame_from_the_first_on(show):
    page = show(pose_clips.clip(first_frame=40))
    browser.press(page, "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft")
    assert page.evaluate(FRAME) == 2
    assert "frame 42" in page.text_content("#now")
    browser.press(page, "End")
    assert page.evaluate(FRAME) == 11
    browser.press(page, "Home")
    assert page.evaluate(FRAME) == 0


def test_each_skeleton_is_hidden_and_shown_by_its_name(show):
    page = show(pose_clips.compared())
    every = stage(page)
    names = "[...document.querySelectorAll('#tracks .name')].map((name) => name.textContent)"
    assert page.evaluate(names) == ["ray root", "paper", "reference"]
    for index in range(3):
        browser.click(page, f"#show-{index}")
        assert stage(page) != every
        browser.press(page, str(index + 1))
        assert stage(page) == every


def test_the_errors_are_told(show):
    page = show(pose_clips.compared())
    told = "[...document.querySelectorAll('#tracks small')].map((error) => error.textContent)"
    assert page.evaluate(told) == ["0.0 mm now, mean 0.0 mm", "23.5 mm now, mean 23.5 mm"]


def test_a_drag_turns_the_wheel_zooms_and_reset_undoes_both(show):
    page = show(pose_clips.clip())
    x, y = middle(page, "#stage")
    home = stage(page)
    browser.drag(page, (x, y + 200), (x + 90, y + 220))
    turned = stage(page)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    browser.settle(page)
    zoomed = stage(page)
    assert len({home, turned, zoomed}) == 3
    page.mouse.move(1, 1)
    browser.click(page, "#reset")
    assert stage(page) == home


def test_a_finger_turns_it_and_two_zoom(show):
    page = show(pose_clips.clip())
    fingertips = page.context.new_cdp_session(page)
    x, y = middle(page, "#stage")
    seen = [stage(page)]
    # What two fingers turn by going apart would cancel.
    for fingers, moves in (([(0, 220)], [80]), ([(-60, 220), (60, 220)], [-40, 40])):
        points = [{"x": x + dx, "y": y + dy, "id": id} for id, (dx, dy) in enumerate(fingers)]
        fingertips.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points})
        for finger, move in zip(points, moves, strict=True):
            finger["x"] += move
        fingertips.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points})
        fingertips.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        browser.settle(page)
        seen.append(stage(page))
    assert len(set(seen)) == 3


def test_the_joint_under_the_pointer_is_named(show):
    page = show(pose_clips.compared())
    browser.click(page, "#show-0")
    browser.click(page, "#show-2")
    x, y = middle(page, "#stage")
    for step in range(-300, 300, 12):
        page.mouse.move(x, y + step)
        browser.settle(page)
        text = page.text_content("#tip")
        if text.startswith("spine"):
            break
    assert text.splitlines() == [
        "spine · paper",
        "x 0.00  y 0.00  z 1.15 m",
        "confidence 0.90",
        "0 mm off, pelvis on pelvis",
    ]


def tip(page):
    return page.text_content("#tip").splitlines()


def test_keys_tell_the_values_of_joint_after_joint(show):
    page = show(sample_pages.from_camera())
    browser.press(page, "j")
    assert tip(page)[0] == "pelvis · person 1"
    # 4 m from the camera less 0.8 m, 1.5 m above less the pelvis' 0.9 m, tilted.
    assert tip(page)[1] == "x 0.00  y 0.02  z 3.26 m"
    assert tip(page)[3] == "± 60 mm"
    assert tip(page)[4].endswith("px off what was lifted")
    assert 0 < float(tip(page)[4].split()[0]) < 10
    browser.press(page, "j")
    assert tip(page)[0] == "right hip · person 1"


def test_who_is_seen_poorly_is_hidden_until_asked_for(show):
    page = show(sample_pages.from_camera())
    shown = "[...document.querySelectorAll('#tracks input')].map((box) => box.checked)"
    told = "document.querySelector('#doubtful-name').textContent"
    assert page.evaluate(shown) == [True, False]
    assert page.evaluate(told) == "Poorly seen people (1)"
    before = stage(page)
    browser.click(page, "#doubtful")
    assert page.evaluate(shown) == [True, True]
    assert stage(page) != before


def test_camera_and_path_are_drawn_and_put_away(show):
    page = show(sample_pages.from_camera(), images={0: sample_pages.photograph()})
    assert page.is_checked("#camera")
    seen = [stage(page)]
    browser.click(page, "#camera")
    seen.append(stage(page))
    for joint in ("13", "-1"):
        page.evaluate(f"document.querySelector('#path').value = {joint!r}")
        page.evaluate("void document.querySelector('#path').dispatchEvent(new Event('change'))")
        browser.settle(page)
        seen.append(stage(page))
    assert len(set(seen)) == 4
    narrow = show(sample_pages.from_camera(), width=390, height=844)
    assert not narrow.is_checked("#camera")


def test_the_first_view_turns_until_it_is_touched(show):
    page = show(sample_pages.from_camera(), is_moving=True)
    first = stage(page)
    browser.wait(page, f"document.querySelector('#stage').toDataURL() !== {first!r}")
    browser.press(page, "x")
    stopped = stage(page)
    for _ in range(5):
        browser.settle(page)
    assert stage(page) == stopped


def test_an_image_is_drawn_behind_the_keypoints_from_its_frame_on(show):
    def third(images):
        page = show(pose_clips.clip(), images=images)
        browser.press(page, *["ArrowRight"] * 3)
        return page

    plain = browser.pixels(third({4: pose_clips.DOT}), "#image")
    page = third({3: pose_clips.DOT})
    browser.wait(page, f"document.querySelector('#image').toDataURL() !== {plain!r}")


@pytest.mark.parametrize("space", ["root", "camera", "world"])
def test_people_that_come_and_go_are_shown_in_every_space(show, space):
    other = pose_clips.track("person 2", shift=(1.0, 0.0, 0.0))
    other.pose[3:6] = other.keypoints_2d[3:6] = float("nan")
    page = show(pose_clips.clip(pose_clips.track(), other, space=space, image_size=None))
    browser.press(page, *["ArrowRight"] * 4)
    assert page.is_checked("#spread") == (space == "root")


def test_a_page_without_input_and_reference_shows_neither(show):
    fields = {"confidence": None, "keypoints_2d": None, "keypoint_confidence": None}
    page = show(pose_clips.clip(pose_clips.track(num_frames=1, **fields)))
    assert page.is_hidden("#input")
    assert page.is_hidden("#errors")
    browser.click(page, "#play")


def test_it_is_dark_where_the_reader_likes_it_dark(show):
    color = "getComputedStyle(document.body).backgroundColor"
    dark = show(pose_clips.clip(), is_dark=True)
    light = show(pose_clips.clip())
    assert dark.evaluate(color) != light.evaluate(color)
    browser.press(light, "t")
    assert dark.evaluate(color) == light.evaluate(color)
    browser.click(light, "#theme")
    assert dark.evaluate(color) != light.evaluate(color)


@pytest.mark.parametrize("width", [360, 768, 1600])
def test_nothing_is_wider_than_the_window(show, width):
    page = show(pose_clips.compared(), width=width, height=700)
    assert page.evaluate(WIDTH) <= width


@pytest.fixture(scope="module")
def every_page(tmp_path_factory):
    return sample_pages.write(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [390, 1440])
def test_every_page_fits_says_nothing_and_keeps_nobody_out(chromium, every_page, width, is_dark):
    if not browser.AXE.is_file():
        pytest.skip("no axe-core found: scripts/browser.sh fetches it")
    for path in every_page:
        page, troubles = browser.show(chromium, path, width, 844, is_dark=is_dark)
        assert page.evaluate(WIDTH) <= width, path.stem
        assert browser.violations(page) == [], path.stem
        assert troubles == [], path.stem


def test_who_cannot_read_a_page_is_noticed(chromium, tmp_path):
    if not browser.AXE.is_file():
        pytest.skip("no axe-core found: scripts/browser.sh fetches it")
    page = tmp_path / "bad.html"
    page.write_text("<html><title>t</title><p style='color:#ccc;background:#fff'>pale<input>")
    found = "".join(browser.violations(browser.show(chromium, page)[0]))
    assert all(name in found for name in ("color-contrast", "html-has-lang", "label"))


def test_a_heading_sorts_its_table_by_number_and_back(chromium, every_page):
    path = next(path for path in every_page if path.stem == "experiments")
    page, _ = browser.show(chromium, path)
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
    _, troubles = browser.show(chromium, page)
    noted = "\n".join(troubles)
    assert all(word in noted for word in ("127.0.0.1", "nothing is not defined", "error: 1"))
