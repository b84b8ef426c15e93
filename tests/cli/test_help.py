"""Help pages, their examples and versions: every verb, option and argument is explained."""

from __future__ import annotations

import configparser
import importlib
import platform
import re
import shlex
from importlib import metadata

import click
import numpy as np
import pytest
from conftest import CHECKOUT

import alad_tf
from alad_tf import __main__ as program
from alad_tf import stack
from alad_tf.cli import main as command_line


def test_console_script() -> None:
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    name, _, place = setup["options.entry_points"]["console_scripts"].strip().partition(" = ")
    module, _, function = place.partition(":")
    assert name == "alad"
    assert getattr(importlib.import_module(module), function) is program.main


VERBS = tuple(command_line.alad.commands)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([verb, "--help"] for verb in VERBS)])
def test_help(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(arguments) == 0
    captured = capfd.readouterr()
    assert captured.out.startswith(f"Usage: alad {' '.join(arguments[:-1])}".rstrip()) and captured.err == ""


@pytest.mark.parametrize("arguments", [["show"], ["fit", "a", "--no-such-option"], ["reproduce", "toy", "--runs"]])
def test_help_before_anything_else_is_checked(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([arguments[0], "--help", *arguments[1:]]) == 0
    assert capfd.readouterr().out.startswith(f"Usage: alad {arguments[0]} ")


def test_no_command_is_a_call_for_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([]) == 0
    alone = capfd.readouterr()
    assert command_line.main(["--help"]) == 0
    assert alone == capfd.readouterr() and alone.err == "" and all(f"  {verb} " in alone.out for verb in VERBS)


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_has_examples_that_parse(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([*verb.split(), "--help"]) == 0
    _, _, text = capfd.readouterr().out.partition("Examples:\n")
    examples = [shlex.split(line.strip().split("   ")[0]) for line in text.splitlines() if line.startswith("  alad ")]
    assert examples
    for _, name, *arguments in examples:
        assert name == verb or not verb
        command_line.alad.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_every_parameter(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([verb, "--help"]) == 0
    text = capfd.readouterr().out
    for param in command_line.alad.commands[verb].params:
        assert getattr(param, "help", None), param.name
        names = param.opts if isinstance(param, click.Option) else [str(param.metavar)]
        assert all(re.search(rf"^  {name}\b", text, re.M) for name in names)


def test_versions(capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["--version"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[:2] == [f"alad_tf {alad_tf.__version__}", f"Python {platform.python_version()}"]
    assert lines[2:] == [
        f"TensorFlow {metadata.version('tensorflow')}",
        f"Keras {metadata.version('keras')}",
        f"NumPy {np.__version__}",
        f"stack: {stack.name()}",
    ]
