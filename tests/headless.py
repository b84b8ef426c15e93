"""A headless Chrome or Chromium, driven by the DevTools protocol over a pipe; no driver or package is needed."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

BROWSERS = ("google-chrome", "google-chrome-stable", "chrome", "chromium", "chromium-browser")
SECONDS = 60.0  # for an answer, also on a slow and busy machine
# The browser reads commands from descriptor 3 and writes answers to 4.
ON_PIPES = ["sh", "-c", 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1']
ARGUMENTS = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--window-size=1000,1400",
]


def find() -> str | None:
    """Path of an installed Chrome or Chromium."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Browser:
    """One tab of a headless browser.

    Args:
        binary: path of the browser.
        profile: empty folder for its profile.
    """

    def __init__(self, binary: str, profile: Path) -> None:
        command = [*ON_PIPES, binary, *ARGUMENTS, f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._received, self._sent = b"", 0
        self._session: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        except BaseException:
            self._process.kill()
            raise
        self._session = {"sessionId": attached["sessionId"]}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None
    ) -> None:
        self._session = {}
        try:
            self.call("Browser.close")
            self._process.communicate(timeout=SECONDS)
        finally:
            self._process.kill()

    def call(self, method: str, **parameters: object) -> Any:
        """Call a method of the protocol and return its result; events received meanwhile go to `events`."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": parameters, **self._session}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        while True:
            answer = self._message()
            if answer.get("id") == self._sent:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def open(self, url: str) -> None:
        """Open a page with requests and messages logged to `events`, and wait until it has loaded."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression on the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _message(self) -> dict[str, Any]:
        """The next message, which ends with a zero byte."""
        assert self._process.stdout is not None
        until = time.monotonic() + SECONDS
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._process.stdout], [], [], max(until - time.monotonic(), 0.0))
            part = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
            if not part:
                raise RuntimeError(f"The browser {'has ended' if ready else 'does not answer'}.")
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found
