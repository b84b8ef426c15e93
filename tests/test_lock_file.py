"""The lock file, the licences and the Pythons match setup.cfg."""

from __future__ import annotations

import configparser
import re

import pytest
from conftest import CHECKOUT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

X86 = {"platform_machine": "x86_64"}


def locked(part: str) -> list[Requirement]:
    """Requirements of the base or test part of the lock file; a line of any other form is an error."""
    text = (CHECKOUT / "requirements/lock.txt").read_text().split(f"# end of {part}\n")[0]
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pattern = re.compile(r"([a-z0-9.-]+==[a-z0-9.]+( ; [^-]+)?)( --hash=sha256:[0-9a-f]{64})+")
    matches = [pattern.fullmatch(line) for line in lines]
    assert lines and all(matches), [line for line, match in zip(lines, matches) if not match]
    return [Requirement(match[1]) for match in matches if match]


@pytest.mark.parametrize("part", ["base", "test"])
@pytest.mark.parametrize("python", ["3.9.18", "3.10.13", "3.11.7", "3.12.1", "3.13.0"])
def test_lock_file_holds_what_setup_cfg_asks_for(python: str, part: str) -> None:
    settings = configparser.ConfigParser()
    settings.read(CHECKOUT / "setup.cfg")
    extras = {name: lines.strip().splitlines() for name, lines in settings["options.extras_require"].items()}
    asked = settings["options"]["install_requires"].strip().splitlines()
    if part == "test":
        asked += [line for name in ("test", "docs", "onnx", "grpc", "ray") for line in extras[name]]
        asked.remove("alad_tf[onnx, grpc, ray]")
    marks = {"python_version": python.rsplit(".", 1)[0], "python_full_version": python, "sys_platform": "linux"}
    present: dict[str, str] = {}
    for requirement in locked(part):
        if requirement.marker is None or requirement.marker.evaluate({**marks, **X86}):
            name = canonicalize_name(requirement.name)
            assert present.setdefault(name, str(requirement.specifier)) == str(requirement.specifier)
    for line in asked:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(marks):
            assert str(requirement.specifier) == present[canonicalize_name(requirement.name)], line


def test_pythons_of_reproduce_sh_are_those_of_setup_cfg() -> None:
    settings = configparser.ConfigParser()
    settings.read(CHECKOUT / "setup.cfg")
    least, _, below = settings["options"]["python_requires"].partition(",")
    pythons = re.search(r'^pythons=\("(.*?),(.*?)" "(.*?),(.*?)"\)', (CHECKOUT / "reproduce.sh").read_text(), re.M)
    assert pythons and (pythons[1], pythons[4]) == (least, below)
    assert pythons[2].lstrip("<") == pythons[3].lstrip(">=")  # no Python between the stacks


def test_licences_are_those_of_the_locked_packages() -> None:
    page = (CHECKOUT / "requirements/licences.md").read_text()
    rows = re.findall(r"^\| ([a-z0-9.-]+) \| ([0-9][^ ]*) \| (both|paper|current) \| (.+) \|$", page, re.M)
    versions = {(requirement.name, str(requirement.specifier)) for requirement in locked("test")}
    assert len(rows) > 100 and all((name, f"=={version}") in versions for name, version, _, _ in rows)
    assert {("tensorflow", "paper"), ("tensorflow", "current")} <= {(name, stack) for name, _, stack, _ in rows}
    assert not [row for row in rows if row[3] == "not declared" or re.search(r"\b[AL]?GPL", row[3])]
    for python, stack in (("3.11.7", "paper"), ("3.12.1", "current")):
        marks = {"python_version": python.rsplit(".", 1)[0], "python_full_version": python, "sys_platform": "linux"}
        needed = [one for one in locked("test") if not one.marker or one.marker.evaluate({**marks, **X86})]
        listed = {(name, f"=={version}") for name, version, of, _ in rows if of in ("both", stack)}
        assert {(one.name, str(one.specifier)) for one in needed} == listed
