"""Opens pages in a headless Chromium that has no network, and notes what goes wrong on them."""

import contextlib
import json
import os
import pathlib
import shutil
import time

from playwright import sync_api

ROOT = pathlib.Path(__file__).parents[2]
FETCHED = ROOT / "output" / "browser" / "chromium"
AXE = ROOT / "output" / "axe" / "axe.min.js"
# Names a browser for tests on machines where neither npm nor the search path has one.
VARIABLE = "CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
TIMEOUT_MILLISECONDS = 60_000


def find():
    """Returns the path of a Chromium, or None."""
    named = os.environ.get(VARIABLE)
    found = [shutil.which(name) for name in ([named] if named else NAMES)]
    found += [str(FETCHED)] if FETCHED.is_file() and not named else []
    return next(filter(None, found), None)


@contextlib.contextmanager
def started(binary):
    """Runs a browser; gives what opens pages."""
    libraries = pathlib.Path(binary).parent / "lib"
    folders = [str(libraries)] if libraries.is_dir() else []
    folders += list(filter(None, [os.environ.get("LD_LIBRARY_PATH")]))
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=binary,
            args=["--no-zygote", "--disable-gpu", "--hide-scrollbars"],
            env={**os.environ, "LD_LIBRARY_PATH": ":".join(folders)},
        )
        yield browser
        browser.close()


def show(browser, path, width=1280, height=820, is_dark=False, is_moving=False):
    """Opens a file in a tab of that size; returns its page and the list of its troubles.

    Troubles are errors and warnings of the console, exceptions, and requests but for files.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if is_dark else "light",
        reduced_motion="no-preference" if is_moving else "reduce",
        has_touch=True,
        offline=True,
    )
    context.set_default_timeout(TIMEOUT_MILLISECONDS)
    page, troubles = context.new_page(), []

    def note_message(message):
        if message.type in ("error", "warning"):
            troubles.append(f"{message.type}: {message.text}")

    def note_request(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            troubles.append(request.url)

    page.on("console", note_message)
    page.on("request", note_request)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(pathlib.Path(path).resolve().as_uri())
    settle(page)
    return page, troubles


def settle(page):
    """Waits until what was asked for is drawn."""
    drawn = "requestAnimationFrame(() => requestAnimationFrame(() => done()))"
    page.evaluate(f"() => new Promise((done) => {drawn})")


def wait(page, expression):
    """Waits until an expression holds, also on pages that let nobody evaluate text."""
    end = time.monotonic() + TIMEOUT_MILLISECONDS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never: {expression}"
        page.wait_for_timeout(20)


def click(page, selector):
    page.click(selector)
    settle(page)


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)
        settle(page)


def drag(page, start, stop):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*stop)
    page.mouse.up()
    settle(page)


def pixels(page, selector):
    """Returns a canvas's picture, as text that equals another's if the pictures do."""
    return page.locator(selector).evaluate("(canvas) => canvas.toDataURL()")


def violations(page):
    """Lists what axe-core finds that keeps people out, seriously or worse."""
    page.evaluate(f"{AXE.read_text(encoding='utf-8')}; 0")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{each['id']}: {each['help']}: {json.dumps([node['html'] for node in each['nodes']])}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
