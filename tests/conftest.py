"""Tests use one thread (or ALAD_TEST_THREADS), quiet libraries and temporary folders, never the home or data folders.

KDD99 and arrhythmia.data come with the project: a test that lacks them fails. arrhythmia.mat and the images do not:
tests that lack them are skipped, or fail where ALAD_REQUIRE_DATA is 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Callable

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
SESSION = Path(tempfile.mkdtemp(prefix="alad-tests-"))
SLOW = "slow: pass --slow to run it"
_LINKS = SESSION / "data"
COMMITTED = ("kddcup.data_10_percent.gz", "arrhythmia.data")
_searched = ""

Alad = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the tests that generate tables of the docs, and --slow."""
    parser.addoption("--write-table", action="store_true", help="write the generated tables of the docs")
    parser.addoption("--slow", action="store_true", help="run the slow tests too: long hauls, of up to minutes each")


def pytest_configure(config: pytest.Config) -> None:
    """Before TensorFlow and NumPy are imported: threads, log level, caches, links in place of the data directory."""
    config.option.loadscopereorder = False  # with -n: files are begun in the order of `pytest_collection_modifyitems`
    if hasattr(config, "workerinput") and sys.platform == "linux":
        from forked_files import ForkedFiles

        config.pluginmanager.register(ForkedFiles())
    threads = os.environ.get("ALAD_TEST_THREADS", "1")
    os.environ.update(dict.fromkeys(THREADS, threads), TF_CPP_MIN_LOG_LEVEL="2")
    from alad_tf import paths

    global _searched
    named = os.environ.get("ALAD_DATA_DIR")
    folders = [Path(named).expanduser(), CHECKOUT / "data"] if named else paths.data_folders()
    _searched = " or ".join(map(str, folders))
    _LINKS.mkdir()
    for name in _raw_names():
        found = next((folder / name for folder in folders if (folder / name).exists()), None)
        if found:
            (_LINKS / name).symlink_to(found.resolve())
    # Parsed arrays are cached beside the links, and a file with the wrong checksum would be a link set aside.
    os.environ["ALAD_DATA_DIR"] = str(_LINKS)
    for variable, folder in (("XDG_CACHE_HOME", "cache"), ("MPLCONFIGDIR", "matplotlib"), ("KERAS_HOME", "keras")):
        os.environ[variable] = str(SESSION / folder)


def pytest_unconfigure() -> None:
    """Remove the files that the session wrote."""
    shutil.rmtree(SESSION, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip slow tests without --slow; start with the longest files, so that no core idles at the end."""
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason=SLOW))
    minutes: dict[Path, float] = defaultdict(float)
    for item in items:
        for marker in item.iter_markers("minutes"):
            minutes[item.path] = max(minutes[item.path], marker.args[0])
    items.sort(key=lambda item: -minutes[item.path])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how many slow tests were skipped, and how to run them."""
    skipped = sum(SLOW in str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_line(f"{skipped} slow tests were skipped: ./reproduce.sh test --slow runs them too")


def pytest_report_header() -> str:
    """Report where the data are, and which are missing."""
    found = [name for name in _raw_names() if (_LINKS / name).exists()]
    return f"data sets in {_searched}: {', '.join(found) or 'none'}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Name the real data folders in skips for missing data, or turn these skips into failures (see above)."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and f" not in {_LINKS}" in report.longrepr[2]:
        path, line, reason = report.longrepr
        reason = reason.replace(str(_LINKS), _searched).replace("Skipped: ", "")
        report.longrepr = (path, line, reason)
        if os.environ.get("ALAD_REQUIRE_DATA") == "1" or any(name in reason for name in COMMITTED):
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: Expected the data (see tests/conftest.py). Received: {reason}"
    return report


@pytest.fixture(scope="session")
def alad() -> Alad:
    """Run the command line in a separate process: `alad("show", "kdd99", VARIABLE="value")`."""

    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "alad_tf", *map(str, arguments)]
        everything = {**os.environ, **environment}
        return subprocess.run(command, cwd=CHECKOUT, env=everything, capture_output=True, text=True, timeout=900)

    return call


@pytest.fixture(scope="session", autouse=True)
def blank_figures() -> Iterator[None]:
    """Figures are empty files, but in processes of their own and in tests with `drawn_figures`."""
    from blank_figures import blank_figures

    with blank_figures():
        yield


@pytest.fixture
def drawn_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn."""
    from blank_figures import draw

    from alad_tf.report import figure_files

    monkeypatch.setattr(figure_files, "save", draw)


@pytest.fixture
def eager() -> Iterator[None]:
    """Run steps eagerly: tracing takes longer than a few steps."""
    from reference import eagerly

    with eagerly():
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, new.csv and the model of a short training. Tests copy what they change."""
    from own_rows import train

    return train(tmp_path_factory.mktemp("own"))


def _raw_names() -> list[str]:
    from alad_tf.data import raw_files

    return [*(raw.name for raws in raw_files.RAW_FILES.values() for raw in raws), "tensorflow_datasets"]
