"""Parsing of command lines: options with one or several values, and one line for wrong usage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command import refused
from conftest import Alad

from alad_tf.cli.main import alad as group


def parsed(call: str) -> dict[str, Any]:
    verb, *arguments = call.split()
    return group.commands[verb].make_context(verb, arguments).params


@pytest.mark.parametrize(
    "call",
    [
        "fit rows.csv --model m --label kind --normal a b",
        "fit rows.csv --model m --normal a b --label kind",
        "fit --label kind --normal a b --model m rows.csv",
        "fit --label kind --normal a --normal b --model m rows.csv",
        "fit rows.csv --normal=a --model=m --normal=b --label=kind",
        "fit --model m --label kind --normal a b -- rows.csv",
        "fit rows.csv --mod m --lab kind --norm a b",
    ],
)
def test_ways_to_give_several_values(call: str) -> None:
    found = parsed(call)
    assert (found["data"], found["model"]) == (Path("rows.csv"), Path("m"))
    assert (found["label"], found["normal"]) == ("kind", ("a", "b"))


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [
        ("fit r --model m --label y --normal -1 1", "normal", ("-1", "1")),
        ("fit r --model m --label y --normal -1.5", "normal", ("-1.5",)),
        ("fit r --model m --label y --normal=-x --normal=--", "normal", ("-x", "--")),
        ("fit r --model m --label=a=b --normal 1", "label", "a=b"),
        ("fit r --model m --drop a b --drop c", "drop", ("a", "b", "c")),
        ("fit r --model m", "drop", ()),
        ("fit r --model m --epochs 1 --epochs 2", "epochs", 2),
        ("export m s --threshold -3", "threshold", -3.0),
        ("export m s --threshold 1e-3", "threshold", 0.001),
        ("table -5", "name", "-5"),
        ("table -- --out", "name", "--out"),
        ("table -", "name", "-"),
        ("reproduce toy", "jit", None),
        ("reproduce toy --jit", "jit", True),
        ("reproduce toy --jit --no-jit", "jit", False),
    ],
)
def test_values_of_options(call: str, name: str, value: object) -> None:
    assert parsed(call)[name] == value


def test_a_value_may_hold_spaces_and_line_breaks() -> None:
    arguments = ["r", "--model", "m", "--label", "- my label", "--normal", "a b", "c\nd", ""]
    found = group.commands["fit"].make_context("fit", arguments).params
    assert (found["label"], found["normal"]) == ("- my label", ("a b", "c\nd", ""))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train", "'train' show reproduce fit"),
        ("-5", "-5 --help --version"),
        ("--verbose", "--verbose --help --version"),
        ("show", "DATASET"),
        ("show mnist", "'mnist' kdd99 arrhythmia toy"),
        ("show kdd99 --method IF", "'IF' ALAD AnoGAN DSEBM DAGMM"),
        ("show toy --method AnoGAN", "AnoGAN toy ALAD"),
        ("show kdd99 toy", "toy"),
        ("reproduce", "DATASET"),
        ("reproduce mnist", "'mnist' kdd99 arrhythmia toy"),
        ("reproduce kdd99 --method GAN", "'GAN' ALAD-noSN ALAD-noDzz ALAD-baseline AnoGAN"),
        ("reproduce toy --epochs 0", "--epochs '0' at least 1"),
        ("reproduce toy --epochs -1", "--epochs '-1' at least 1"),
        ("reproduce toy --epochs 1.5", "--epochs '1.5' whole number"),
        ("reproduce toy --epochs many", "--epochs 'many' whole number"),
        ("reproduce toy --epochs=", "--epochs '' whole number"),
        ("reproduce toy --epochs", "--epochs"),
        ("reproduce toy --runs 0", "--runs '0' at least 1"),
        ("reproduce toy --runs -2", "--runs '-2' at least 1"),
        ("reproduce toy --jobs 0", "--jobs '0' at least 1"),
        ("reproduce toy --seed -1", "--seed '-1' from 0 to 4294967295"),
        ("reproduce toy --seed x", "--seed 'x' whole number"),
        ("reproduce toy --seed ²", "--seed"),
        ("reproduce kdd99 --spectral-norm weak", "--spectral-norm 'weak' paper tfa"),
        ("reproduce kdd99 --scaling standard", "--scaling 'standard' minmax"),
        ("reproduce arrhythmia --training-half all", "--training-half 'all' clean released"),
        ("reproduce kdd99 --training-half released", "'released' kdd99 'clean'"),
        ("reproduce toy --training-half released", "'released' toy 'clean'"),
        ("reproduce toy --no-such-option", "--no-such-option --method --normal-class --out"),
        ("reproduce toy --no-such-option=3", "--no-such-option"),
        ("reproduce toy --no-", "--no- --no-dzz --no-ema"),
        ("reproduce toy -x", "-x --runs"),
        ("reproduce toy --no-dzz=yes", "--no-dzz 'yes'"),
        ("reproduce toy --epochs --runs 2", "--epochs none"),
        ("reproduce toy --epochs --", "--epochs none"),
        ("reproduce toy --patience 3 --no-early-stopping", "--patience --no-early-stopping"),
        ("reproduce toy --seed " + "9" * 5000, "--seed whole number"),
        ("fit rows.csv", "--model DIR"),
        ("fit", "DATA --model DIR"),
        ("fit https://host/rows.csv --model m", "path on this machine URL 'https://host/rows.csv' Download"),
        ("score rows.csv --model m --output s3://bucket/scored.csv", "URL 's3://bucket/scored.csv' upload"),
        ("fit rows.csv --model=", "a path for --model Received: ''"),
        ("fit rows.csv --model m --seed 4294967296", "--seed 4294967295"),
        (
            "fit rows.csv --model m --contamination 0.1 --false-positive-rate 0.1",
            "--contamination --false-positive-rate",
        ),
        ("fit rows.csv --model m --label kind", "--label --normal"),
        ("fit rows.csv --model m --normal 0 1", "--label --normal"),
        ("fit rows.csv --model m --drop", "--drop none"),
        ("export model served --version 9223372036854775808", "--version 9223372036854775807"),
        ("export model served --threshold nan", "--threshold 'nan' number"),
        ("convert model m.onnx --threshold 1 --contamination 0.1", "--threshold --contamination"),
        ("tables --budget 0", "--budget '0' above 0"),
        ("tables --budget soon", "--budget 'soon' above 0"),
        ("tables --runs 0", "--runs '0' at least 1"),
        ("tables --jobs 0", "--jobs '0' at least 1"),
        ("tables --datasets toy", "--datasets 'toy' kdd99 arrhythmia svhn cifar10"),
        ("tables --datasets=", "--datasets '' kdd99"),
        ("tables 5", "5"),
        ("table", "NAME"),
        ("table x", "x 2, 3, 4, 5, 6, 7, 8, protocol, halves, runs"),
        ("table 99", "99 2, 3, 4, 5, 6, 7, 8, protocol, halves, runs"),
        ("table -5", "-5"),
        ("table 5 --format html", "--format 'html' text markdown csv"),
    ],
)
def test_wrong_call(arguments: str, words: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    named = arguments.split()
    if named[:1] in (["reproduce"], ["table"], ["tables"]):
        named += ["--out", str(tmp_path / "out")]
    line = refused(capfd, *named)
    assert all(word in line for word in words.split())
    assert not (tmp_path / "out").exists()


def test_results_folder_without_a_name(capfd: pytest.CaptureFixture[str]) -> None:
    assert "a results folder outside of model folders for --out. Received: ''" in refused(capfd, "table", "5", "--out=")


def test_wrong_call_in_a_process_of_its_own(alad: Alad) -> None:
    for arguments, code in ((["reproduce", "mnist"], 2), (["table", "99"], 1)):
        done = alad(*arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("show tabular --features 3 --method DAGMM", "method ALAD with tabular. Received: --method DAGMM"),
        ("reproduce kdd99 --no-early-stopping", "training stops early. Received: ALAD on kdd99"),
        ("reproduce kdd99 --spectral-norm tfa --no-spectral-norm", "at most one of"),
        ("fit rows.csv --model m --spectral-norm tfa --no-spectral-norm", "at most one of"),
        ("score rows --model m --output o --engine ray --chunk-rows 16384", "Received: --chunk-rows"),
    ],
)
def test_options_without_an_effect_are_refused(capfd: pytest.CaptureFixture[str], call: str, words: str) -> None:
    assert words in refused(capfd, *call.split())
