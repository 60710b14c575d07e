"""Drives a headless Chromium over its debugging pipe; nothing but the browser is needed."""

import base64
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[2]
FETCHED = ROOT / "output" / "browser" / "chromium"
AXE = ROOT / "output" / "axe" / "axe.min.js"
# Names a browser for tests on machines where neither npm nor the search path has one.
VARIABLE = "CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe"),
)
TIMEOUT_SECONDS = 60
# The browser reads commands from 3 and answers on 4.
_START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find():
    """Returns the path of a Chromium, or None."""
    named = os.environ.get(VARIABLE)
    found = [shutil.which(name) for name in ([named] if named else NAMES)]
    found += [str(FETCHED)] if FETCHED.is_file() and not named else []
    return next(filter(None, found), None)


@contextlib.contextmanager
def started(binary, folder):
    """Runs a browser that keeps its files in a folder; gives what talks to it."""
    commands, answers = _pipe(), _pipe()
    libraries = pathlib.Path(binary).parent / "lib"
    folders = [str(libraries)] if libraries.is_dir() else []
    folders += list(filter(None, [os.environ.get("LD_LIBRARY_PATH")]))
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", _START, str(commands[0]), str(answers[1]), binary, *ARGUMENTS),
            *(f"--user-data-dir={folder}/profile", "about:blank"),
        ],
        pass_fds=(commands[0], answers[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LD_LIBRARY_PATH": ":".join(folders), "HOME": str(folder)},
    )
    os.close(commands[0])
    os.close(answers[1])
    try:
        yield Browser(os.fdopen(commands[1], "wb", 0), os.fdopen(answers[0], "rb", 0))
    finally:
        process.kill()
        process.wait()


def _pipe():
    """Makes a pipe whose ends are beyond the numbers that the browser looks at."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved


class Browser:
    """Sends commands, waits for their answers, and keeps the events that come in between."""

    def __init__(self, commands, answers):
        self._commands, self._answers = commands, answers
        self._buffer, self._number = b"", 0
        self.events = []

    def call(self, method, session=None, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") != self._number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def _receive(self):
        while b"\0" not in self._buffer:
            received = self._answers.read(1 << 20)
            if not received:
                raise RuntimeError("The browser ended.")
            self._buffer += received
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, path, width=1280, height=820, is_dark=False, is_moving=False):
        """Opens a file in a tab of that size."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        limits = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        page.call("Network.emulateNetworkConditions", offline=True, **limits)
        page.resize(width, height)
        features = {
            "prefers-color-scheme": "dark" if is_dark else "light",
            "prefers-reduced-motion": "no-preference" if is_moving else "reduce",
        }
        listed = [{"name": name, "value": value} for name, value in features.items()]
        page.call("Emulation.setEmulatedMedia", features=listed)
        page.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        page.wait("document.readyState === 'complete'")
        return page


class Page:
    """A tab."""

    def __init__(self, browser, session):
        self._browser, self._session = browser, session

    def call(self, method, **params):
        return self._browser.call(method, self._session, **params)

    def evaluate(self, expression):
        how = {"returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", expression=expression, **how)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression):
        """Waits until an expression holds."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"In {TIMEOUT_SECONDS} s never: {expression}")
            time.sleep(0.02)

    def settle(self):
        """Waits until what was asked for is drawn."""
        self.evaluate("globalThis.isSettled = false")
        later = "requestAnimationFrame(() => { globalThis.isSettled = true; })"
        self.evaluate(f"void requestAnimationFrame(() => {later})")
        self.wait("globalThis.isSettled")

    def resize(self, width, height, scale=1):
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def click(self, selector):
        self.evaluate(f"document.querySelector({selector!r}).click()")
        self.settle()

    def press(self, key, text=""):
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def drag(self, start, stop):
        self.mouse("mousePressed", *start, button="left", buttons=1, clickCount=1)
        self.mouse("mouseMoved", *stop, button="left", buttons=1)
        self.mouse("mouseReleased", *stop, button="left", clickCount=1)
        self.settle()

    def pixels(self, selector):
        """A canvas's picture, as text that equals another's if the pictures do."""
        return self.evaluate(f"document.querySelector({selector!r}).toDataURL()")

    def screenshot(self, path, is_whole=False):
        """Saves what is to be seen, or the whole page."""
        data = self.call(
            "Page.captureScreenshot",
            format="png",
            captureBeyondViewport=is_whole,
            **self._whole(is_whole),
        )["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def _whole(self, is_whole):
        if not is_whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {
            "clip": {"x": 0, "y": 0, "scale": 1, "width": size["width"], "height": size["height"]}
        }

    def violations(self):
        """Lists what axe-core finds that keeps people out, seriously or worse."""
        self.evaluate(f"{AXE.read_text(encoding='utf-8')}; 0")
        found = self.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then((all) => all.violations)"
        )
        return [
            f"{each['id']}: {each['help']}: {', '.join(node['html'] for node in each['nodes'])}"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]

    def troubles(self):
        """Lists errors and warnings of the console, exceptions, and requests but for the file."""
        self.evaluate("0")
        found = []
        for event in self._browser.events:
            method, params = event.get("method"), event.get("params", {})
            if event.get("sessionId") != self._session:
                continue
            if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                found.append(json.dumps(params["args"]))
            elif method in ("Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(json.dumps(params))
            elif method == "Network.requestWillBeSent":
                address = params["request"]["url"]
                if not address.startswith(("file:", "data:")):
                    found.append(address)
        return found
