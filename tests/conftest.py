"""One thread, no noise, and folders of the session's own: no test writes to the user's home or to the data directory.

ALAD_REQUIRE_DATA=1 turns every skip for want of a data file into a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Callable

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
SESSION = Path(tempfile.mkdtemp(prefix="alad-tests-"))
_LINKS = SESSION / "data"
_data_dir = Path()

Alad = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the tests that generate tables of the docs."""
    parser.addoption("--write-table", action="store_true", help="write the generated tables of the docs")


def pytest_configure() -> None:
    """Before TensorFlow and NumPy are imported: threads, log level, caches, links in place of the data directory."""
    os.environ.update(dict.fromkeys(THREADS, "1"), TF_CPP_MIN_LOG_LEVEL="2")
    from alad_tf import paths

    global _data_dir
    _data_dir = paths.data_directory().resolve()
    _LINKS.mkdir()
    for name in _raw_names():
        if (_data_dir / name).exists():
            (_LINKS / name).symlink_to(_data_dir / name)
    # Parsed arrays are cached beside the links, and a file with the wrong checksum would be a link set aside.
    os.environ["ALAD_DATA_DIR"] = str(_LINKS)
    for variable, folder in (("XDG_CACHE_HOME", "cache"), ("MPLCONFIGDIR", "matplotlib"), ("KERAS_HOME", "keras")):
        os.environ[variable] = str(SESSION / folder)


def pytest_unconfigure() -> None:
    """Remove what the session wrote."""
    shutil.rmtree(SESSION, ignore_errors=True)


def pytest_report_header() -> str:
    """Say where the data are, or which are missing."""
    found = [name for name in _raw_names() if (_LINKS / name).exists()]
    return f"data sets in {_data_dir}: {', '.join(found) or 'none'}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Name the real data directory in skips for want of data; make them failures where ALAD_REQUIRE_DATA is 1."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and f" not in {_LINKS}" in report.longrepr[2]:
        path, line, reason = report.longrepr
        reason = reason.replace(str(_LINKS), str(_data_dir)).replace("Skipped: ", "")
        report.longrepr = (path, line, reason)
        if os.environ.get("ALAD_REQUIRE_DATA") == "1":
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: Expected the data, for ALAD_REQUIRE_DATA is 1. Received: {reason}"
    return report


@pytest.fixture(scope="session")
def alad() -> Alad:
    """Call the command line in a process of its own: `alad("show", "kdd99", VARIABLE="value")`."""

    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "alad_tf", *map(str, arguments)]
        everything = {**os.environ, **environment}
        return subprocess.run(command, cwd=CHECKOUT, env=everything, capture_output=True, text=True, timeout=900)

    return call


def _raw_names() -> list[str]:
    from alad_tf.data import raw_files

    return [*(raw.name for raws in raw_files.RAW_FILES.values() for raw in raws), "tensorflow_datasets"]
