"""Tests in processes forked from the workers of pytest-xdist: the memory of graphs and models ends with them.

A worker imports all test files, and TensorFlow with them, once. It runs no test itself: a child runs them in its place,
and makes way for a fresh one between two files once it has grown by GROWTH. The hooks of a test are called in the
child; its reports go through the worker. The child ends at once, without `atexit`, which is the worker's: its temporary
files are in a folder that the worker removes. Without workers (`-n 0`) and on other systems than Linux, nothing is
forked.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

GROWTH = 500  # MB


class ForkedFiles:
    """The worker's side: hands each test to the child, and the child's reports to pytest."""

    def __init__(self) -> None:
        self.child: _Child | None = None
        self.places: dict[pytest.Item, int] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Do not fork if an import has started TensorFlow's threads, which a forked process would lack."""
        context = sys.modules.get("tensorflow.python.eager.context")
        if context is None or not context.context()._initialized:
            self.places = {item: place for place, item in enumerate(session.items)}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a test in the child. If the child dies, the test fails and the next one gets a new child."""
        if not self.places:
            return None
        if self.child is None:
            self.child = _Child(item.session.items)
        child, hook = self.child, item.ihook
        last = nextitem is None or (nextitem.path != item.path and child.growth > GROWTH)
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in child.reports(self.places[item], None if last or nextitem is None else self.places[nextitem]):
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if last or child.dead:
            self.pytest_sessionfinish()
        return True

    def pytest_sessionfinish(self) -> None:
        """End the child, even during a test."""
        if self.child is not None:
            self.child.end()
            self.child = None


class _Child:
    """A process that runs tests on request, one at a time."""

    def __init__(self, items: list[pytest.Item]) -> None:
        gc.collect()
        gc.freeze()  # the collector leaves pages alone that both processes share
        self.items, self.growth, self.busy = items, 0, False
        self.pipe, other = multiprocessing.Pipe()
        self.temporary = tempfile.mkdtemp(prefix="alad-tests-")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12's on threads: none of them holds a lock
            self.pid = os.fork()
        if not self.pid:
            self.pipe.close()
            tempfile.tempdir = self.temporary
            _run(items, other)
        other.close()

    def reports(self, place: int, next_place: int | None) -> list[pytest.TestReport]:
        """Run one test and return its reports."""
        self.busy, config = True, self.items[place].config
        try:
            self.pipe.send((place, next_place))
            data, self.growth = self.pipe.recv()
        except (EOFError, OSError):
            return [self._death(self.items[place])]
        self.busy = False
        return [config.hook.pytest_report_from_serializable(config=config, data=each) for each in data]

    @property
    def dead(self) -> bool:
        return not self.pid

    def _death(self, item: pytest.Item) -> pytest.TestReport:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        message = f"{item.nodeid}: the process of this test ended {how}"
        capture: Any = item.config.pluginmanager.get_plugin("capturemanager")
        printed = "".join(capture.read_global_capture())
        return pytest.TestReport(
            item.nodeid, item.location, {}, "failed", message, "call", [("Captured output", printed)]
        )

    def end(self) -> None:
        """End the child after its last test; kill it if a test is running."""
        self.pipe.close()
        if self.pid:
            if self.busy:
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        shutil.rmtree(self.temporary, ignore_errors=True)


class _Reports:
    """In the child: collects the reports of a test, in place of the plugin that sends them from the worker."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.data: list[Any] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.data.append(self.config.hook.pytest_report_to_serializable(config=self.config, report=report))


def _run(items: list[pytest.Item], pipe: Connection) -> None:
    """Main function of the child; it ends when the worker closes the pipe."""
    status, begin = 1, _megabytes()
    try:
        config = items[0].config
        for plugin in config.pluginmanager.get_plugins():
            if type(plugin).__name__ in ("WorkerInteractor", "ForkedFiles"):
                config.pluginmanager.unregister(plugin)
        reports = _Reports(config)
        config.pluginmanager.register(reports)
        with contextlib.suppress(EOFError):
            while True:
                place, next_place = pipe.recv()
                nextitem = None if next_place is None else items[next_place]
                config.hook.pytest_runtest_protocol(item=items[place], nextitem=nextitem)
                pipe.send((reports.data, _megabytes() - begin))
                reports.data.clear()
        _save_coverage()
        status = 0
    finally:
        os._exit(status)


def _megabytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


def _save_coverage() -> None:
    """Write the child's coverage data; pytest-cov combines all such files at the end."""
    coverage = sys.modules.get("coverage")
    measured = coverage and coverage.Coverage.current()
    if measured:
        measured.stop()
        measured.save()
