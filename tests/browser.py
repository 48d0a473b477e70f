"""A headless Chromium driven through two pipes: its DevTools protocol, without a port and without a package.

Chromium is looked for on this machine, nothing is downloaded: `chromium` of the system, of Playwright's folder, or the
program that the environment variable MOODBENCH_CHROMIUM names.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chromium-headless-shell")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
NONE = (
    "no Chromium on this machine: install it with the system's packages (apt install chromium), or without a root "
    "shell by 'make browser', or name one in MOODBENCH_CHROMIUM"
)
SECONDS = 120
"""For one answer: machines that run tests are busy."""

_LAUNCH = """
import os, sys
for fd, target in zip(sys.argv[1:3], (3, 4)):
    os.dup2(int(fd), target)
os.execv(sys.argv[3], sys.argv[3:])
"""


@cache
def chromium() -> str | None:
    """Return the first program that runs; None where there is none. One that is named is not questioned."""
    named = os.environ.get("MOODBENCH_CHROMIUM")
    if named:
        return named
    found = [path for path in (*map(shutil.which, NAMES), *PLACES) if path and Path(path).exists()]
    for folder in _of_playwright():
        for name in ("chrome", "headless_shell", "chrome-headless-shell"):
            found += sorted(str(file) for file in folder.glob(f"chromium*/*/{name}"))
    return next(filter(_runs, found), None)


def _of_playwright() -> list[Path]:
    own = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "0")
    homes = [Path.home() / ".cache", Path.home() / "Library" / "Caches"]
    return [home / "ms-playwright" for home in homes] if own == "0" else [Path(own)]


def _runs(program: str) -> bool:
    """Say whether it starts at all: Ubuntu's package without snaps is a script that says it does not."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, timeout=SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class Page:
    """One tab. What happens in it is noted: `errors` of its console and scripts, `requests` of any kind."""

    def __init__(self, browser: _Pipes) -> None:
        self._browser = browser
        target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol."""
        return self._browser.ask(method, session=self._session, **params)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Everything that happened in this tab since `forget`."""
        self.run("0")  # what was on its way has arrived before the answer
        return [event for event in self._browser.events if event.get("sessionId") == self._session]

    def forget(self) -> None:
        """Begin to note anew what happens."""
        self.run("0")
        self._browser.events.clear()

    @property
    def errors(self) -> list[str]:
        """What the console and the scripts complained about."""
        found = []
        for event in self.events:
            method, params = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(params["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                found.append(json.dumps(params["args"]))
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"])
            elif method == "Page.javascriptDialogOpening":
                found.append(f"dialog: {params['message']}")
        return found

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for, ``data:`` aside, and without those that the page's policy held back."""
        sent: dict[str, str] = {}
        for event in self.events:
            params = event["params"]
            if event["method"] == "Network.requestWillBeSent":
                sent[params["requestId"]] = params["request"]["url"]
            elif event["method"] == "Network.loadingFailed" and params.get("blockedReason") == "csp":
                del sent[params["requestId"]]
        return [url for url in sent.values() if not url.startswith("data:")]

    def open(self, file: Path | str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a file, or an address, in a window of this size; a narrow one is a phone."""
        phone = width < 600
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        start = len(self._browser.events)
        self.ask("Page.navigate", url=file.absolute().as_uri() if isinstance(file, Path) else file)
        self._browser.wait("Page.loadEventFired", self._session, start)

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        done = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise AssertionError(json.dumps(done["exceptionDetails"]))
        return done["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key, as a person would."""
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        common = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        text = {"text": "\r"} if key == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **common)

    def hover(self, selector: str) -> None:
        """Put the mouse over the first element that a selector finds."""
        box = self.run(
            f"var e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {"  # it has scrolled
            "const r = e.getBoundingClientRect(); done([r.x + r.width / 2, r.y + r.height / 2]) })))"
        )
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """Write what is seen, or the whole page, as a PNG file."""
        done = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(done["data"]))


class _Pipes:
    """The two pipes: messages are JSON, parted by NUL."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._number, self._left = 0, b""
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str | None = None, **params: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        data = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while data:
            data = data[os.write(self._send, data) :]
        until = time.monotonic() + SECONDS
        while True:
            answer = self._next(until)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def wait(self, method: str, session: str, start: int) -> None:
        until = time.monotonic() + SECONDS
        seen = start
        while True:
            for event in self.events[seen:]:
                if (event["method"], event.get("sessionId")) == (method, session):
                    return
            seen = len(self.events)
            self._next(until)

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._left:
            if not select.select([self._receive], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError(f"Chromium did not answer within {SECONDS} s")
            data = os.read(self._receive, 1 << 16)
            if not data:
                raise RuntimeError("Chromium ended")
            self._left += data
        line, _, self._left = self._left.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self.events.append(message)
            if message["method"] == "Page.javascriptDialogOpening":  # else the page would stand still
                closing = {"id": -1, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
                os.write(self._send, json.dumps(closing | {"sessionId": message["sessionId"]}).encode() + b"\0")
        return message


@contextmanager
def browser(program: str) -> Iterator[Page]:
    """Start Chromium with a profile of its own and without a network, and end it."""
    to_child, send = os.pipe()
    receive, from_child = os.pipe()
    inherited = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_child, from_child)]
    for fd in (to_child, from_child):
        os.close(fd)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [
            "--headless=new",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            "--no-first-run",
            "--no-sandbox",  # tests may run as root, where it refuses to start with one; it opens our own files
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--lang=en",
        ]
        child = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, *map(str, inherited), program, *options],
            pass_fds=inherited,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for fd in inherited:
            os.close(fd)
        pipes = _Pipes(send, receive)
        try:
            yield Page(pipes)
            pipes.ask("Browser.close")
            child.wait(30)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, 9)
                child.wait()
            os.close(send)
            os.close(receive)


if __name__ == "__main__":  # make browser: is one needed?
    if chromium() is None:
        sys.exit("No Chromium that runs is on this machine.")
