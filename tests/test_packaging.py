"""The wheel has all files needed at run time, and its command works without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from conftest import CHECKOUT
from uv import find_uv_bin

from alad_tf._version import __version__

SOURCES = "setup.py setup.cfg README.md LICENSE alad_tf architectures results/published".split()
PUBLISHED = CHECKOUT / "results/published"


def uv(*arguments: str | Path) -> str:
    """Run uv without a network and return its output."""
    command = [find_uv_bin(), *arguments, "--offline", "--no-config"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the source distribution of the checkout."""
    folder: Path = tmp_path_factory.mktemp("packaging")
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(CHECKOUT / name, folder / name)
    uv("build", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder / "dist", folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(contents: dict[str, bytes]) -> Message:
    return message_from_bytes(contents[f"alad_tf-{__version__}.dist-info/METADATA"])


def test_wheel_holds_every_module(contents: dict[str, bytes]) -> None:
    modules = [path for package in ("alad_tf", "architectures") for path in (CHECKOUT / package).rglob("*.py")]
    assert len(modules) > 50
    for path in modules:
        assert contents[path.relative_to(CHECKOUT).as_posix()] == path.read_bytes()
    assert contents["alad_tf/py.typed"] == b""


def test_wheel_holds_the_published_results(contents: dict[str, bytes]) -> None:
    published = [path for path in PUBLISHED.rglob("*") if path.is_file()]
    assert len(published) > 100
    for path in published:
        assert contents[f"alad_tf/published/{path.relative_to(PUBLISHED).as_posix()}"] == path.read_bytes()


def test_wheel_holds_nothing_else(contents: dict[str, bytes]) -> None:
    assert {name.split("/")[0] for name in contents} == {"alad_tf", "architectures", f"alad_tf-{__version__}.dist-info"}
    for name in contents:
        assert name.endswith((".py", ".typed", ".json", ".jsonl", ".html")) or ".dist-info/" in name


def test_metadata(contents: dict[str, bytes], metadata: Message) -> None:
    assert metadata["Requires-Python"] == "<3.14,>=3.9"
    assert set(metadata.get_all("Provides-Extra", [])) >= {"benchmark", "cuda", "docs", "grpc", "onnx", "ray", "test"}
    assert f"alad_tf-{__version__}.dist-info/licenses/LICENSE" in contents
    entry_points = contents[f"alad_tf-{__version__}.dist-info/entry_points.txt"].decode()
    assert entry_points == "[console_scripts]\nalad = alad_tf.__main__:main\n"


def test_installed_wheel_prints_the_published_table(wheel: Path, tmp_path: Path) -> None:
    environment, empty = tmp_path / "environment", tmp_path / "empty"
    empty.mkdir()
    uv("venv", "--python", sys.executable, environment)
    uv("pip", "install", "--python", environment, "--no-deps", wheel)
    (packages,) = environment.glob("lib/python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # those of the tests, after its own
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(arguments, cwd=empty, env=variables, capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    where = run(environment / "bin/python", "-c", "import alad_tf; print(alad_tf.__file__)")
    assert Path(where.strip()) == packages / "alad_tf/__init__.py"
    printed = run(environment / "bin/alad", "table", "2")
    assert printed == run(Path(sys.executable).with_name("alad"), "table", "2", "--out", "results")
    assert "KDD99" in printed and "Arrhythmia" in printed and not list(empty.iterdir())
