"""A simulated machine for reproduce.sh: a small checkout, a PATH, and wheels built here."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Callable

from conftest import CHECKOUT
from uv import find_uv_bin

TOOLS = "bash cat cksum flock grep readlink rm sed sh".split()
UV = Path(find_uv_bin())
PRINT = "import os, sys; print(''.join(f'<{a}>' for a in sys.argv[1:]), 'PYTHONPATH', os.environ.get('PYTHONPATH'))"
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
# The build of alad_tf writes a line to $CALLS and lasts as long as there is a file $BUILD_WAITS.
BACKEND = """
import os, shutil, time

def build_editable(folder, config_settings=None, metadata_directory=None):
    with open(os.environ["CALLS"], "a") as calls:
        calls.write("build\\n")
    while os.path.exists(os.environ.get("BUILD_WAITS", "")):
        time.sleep(0.02)
    return os.path.basename(shutil.copy("alad_tf-0.1.0-py3-none-any.whl", folder))
"""
GOOD = "<reproduce><toy> PYTHONPATH None\n"


def write_wheel(folder: Path, name: str, files: dict[str, str], entry_points: str = "") -> str:
    """Write a wheel of version 1.0 (alad_tf: 0.1.0) to a folder; return its line of a lock file."""
    version = "0.1.0" if name == "alad_tf" else "1.0"
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": entry_points,
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, text)
    index = folder / "simple" / name / "index.html"
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text(f'<a href="../../{wheel.name}">{wheel.name}</a>\n')
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


class Machine:
    """A checkout with reproduce.sh, a PATH with uv and one Python, and a folder of wheels."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin, self.wheels = folder, folder / "bin", folder / "wheels"
        self.calls_file = folder / "calls"
        self.checkout = folder / "the checkout"
        (self.checkout / "requirements").mkdir(parents=True)
        self.bin.mkdir()
        self.wheels.mkdir()
        for tool in (*TOOLS, "perl"):
            found = shutil.which(tool)
            if found:
                (self.bin / tool).symlink_to(found)
        (self.bin / "uv").symlink_to(UV)
        (self.bin / "python3").symlink_to(Path(sys.executable).resolve())
        shutil.copy(CHECKOUT / "reproduce.sh", self.checkout)
        (self.checkout / "pyproject.toml").write_text(PYPROJECT)
        (self.checkout / "backend.py").write_text(BACKEND)
        main = {"alad_main.py": f"import os\ndef main():\n    {PRINT}\n    sys.exit(int(os.environ.get('EXIT', 0)))\n"}
        write_wheel(self.checkout, "alad_tf", main, "[console_scripts]\nalad = alad_main:main\n")
        self.lock = self.checkout / "requirements/lock.txt"
        base = write_wheel(self.wheels, "setuptools", {}) + write_wheel(self.wheels, "numpy", {"numpy.py": "here = 1"})
        test = write_wheel(self.wheels, "pytest", {"pytest.py": f"import os\nprint(os.getcwd())\n{PRINT}"})
        script = f'#!/bin/sh\nexec "{UV}" "$@"\n'
        test += write_wheel(self.wheels, "uv", {"uv-1.0.data/scripts/uv": script})
        self.lock.write_text(f"# a comment\n{base}# end of base\n{test}# end of test\n")
        self.environment = {
            "PATH": str(self.bin),
            "HOME": str(folder),
            "CALLS": str(self.calls_file),
            "UV_CACHE_DIR": str(folder / "cache"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_PYTHON_INSTALL_DIR": str(folder / "pythons"),
            "UV_DEFAULT_INDEX": (self.wheels / "simple").as_uri(),
            "PIP_INDEX_URL": (self.wheels / "simple").as_uri(),
            "PIP_CONFIG_FILE": os.devnull,
        }

    @property
    def venv(self) -> Path:
        return self.checkout / ".venv"

    @property
    def packages(self) -> Path:
        return next(self.venv.glob("lib/python3*/site-packages"))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start reproduce.sh from outside the checkout, in a new process group."""
        return self.launch(self.checkout / "reproduce.sh", *arguments, **environment)

    def launch(self, command: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [command, *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Run reproduce.sh; return exit code, standard output and standard error."""
        return finish(self.start(*arguments, **environment))

    def good(self, *arguments: str, **environment: str) -> str:
        code, output, errors = self.run(*arguments, **environment)
        assert code == 0, errors
        return output

    def builds(self) -> int:
        """Number of builds of alad_tf since the last call."""
        number = len(self.calls_file.read_text().splitlines()) if self.calls_file.exists() else 0
        self.calls_file.unlink(missing_ok=True)
        return number

    def script(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
