"""Headless Chromium, driven over its own pipe (Chrome DevTools Protocol): no further package."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--remote-debugging-pipe", "--hide-scrollbars",
)  # fmt: skip
KEYS = {"Enter": 13, "Escape": 27}
KEYS |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


def needed_browser() -> str:
    """Return the path of Chromium; without one the test skips, but never in CI."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and "CI" in os.environ:
        pytest.fail("no chromium on this machine, and CI must run this test: install it")
    if found is None:
        pytest.skip("no chromium on this machine: the pages are not looked at")
    return found


class Page:
    """One tab.

    Attributes
    ----------
    problems
        Errors of scripts, of the console and of loading, in words.
    addresses
        What the page asked for.
    """

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from, self._read, self._last = to_browser, from_browser, b"", 0
        self._session = None
        self.problems, self.addresses = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        """Call a method of the protocol and return its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _next(self) -> dict:
        while b"\0" not in self._read:
            part = os.read(self._from, 1 << 20)
            assert part, "the browser ended"
            self._read += part
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict) -> None:
        found = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.problems.append(str(found["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if found["type"] in ("error", "warning", "assert"):
                self.problems.append(str(found["args"]))
            case "Log.entryAdded" if found["entry"]["level"] == "error":
                self.problems.append(str(found["entry"]))
            case "Network.requestWillBeSent":
                self.addresses.append(found["request"]["url"])

    def open(self, path: Path, width: int, height: int = 900, fragment: str = "") -> None:
        """Open a file as a user would, in a window of this size in px, and wait for it."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.call("Page.navigate", url=path.resolve().as_uri() + fragment)
        self.until("document.readyState === 'complete' && location.protocol === 'file:'")

    def value(self, expression: str):
        """Return the value of an expression of JavaScript."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str, seconds: float = 10) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"{expression} is false; problems: {self.problems}"
            time.sleep(0.05)

    def type(self, selector: str, text: str, key: str = "Enter") -> None:
        """Type into a field, then press a key."""
        self.value(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)
        self.press(key)

    def press(self, key: str) -> None:
        """Press a key and release it."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key], **text,
            )  # fmt: skip

    def touch(self, *moments: list[tuple[float, float]]) -> None:
        """Put fingers at places, in px, move them from moment to moment, and lift them."""
        for k, places in enumerate(moments):
            fingers = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(places)]
            kind = "touchMove" if k else "touchStart"
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Move the mouse, or press and release its button (mouseMoved, click), in px."""
        kinds = ("mousePressed", "mouseReleased") if kind == "click" else (kind,)
        for one in kinds:
            self.call("Input.dispatchMouseEvent", type=one, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        """Save the whole page as PNG."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def page(profile: Path) -> Iterator[Page]:
    """Start Chromium with a profile of its own, yield a tab, and end it."""
    command = [needed_browser(), *OPTIONS, f"--user-data-dir={profile}"]
    to_child, to_browser = os.pipe()
    from_browser, from_child = os.pipe()
    # Chromium reads from 3 and writes to 4; the shell puts the pipes there.
    shell = f'exec "$@" 3<&{to_child} 4>&{from_child}'
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", *command],
        pass_fds=(to_child, from_child),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_child)
    os.close(from_child)
    try:
        yield Page(to_browser, from_browser)
    finally:
        process.terminate()
        process.wait()
        os.close(to_browser)
        os.close(from_browser)
