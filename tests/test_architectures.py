"""The tables are those of the paper, entered twice; their departures from it are marked and explained."""

from __future__ import annotations

import ast
import dataclasses
import io
import json
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Any

import pytest

import architectures
from architectures import rows

CHECKOUT = Path(architectures.__file__).resolve().parents[1]
TRANSCRIPTIONS = Path(__file__).parent / "paper"
METHOD_OF = {"ALAD": "ALAD", "GAN": "AnoGAN", "DSEBM": "DSEBM", "DAGMM": "DAGMM"}  # kind of table -> method
OTHERS_TABLE = {"svhn": "cifar10"}  # one table for both in the paper


def place_of(name: str, variable: str) -> tuple[Path, str]:
    """The page of a table, and its name there: a page for each data set, or for the baselines one for each method."""
    if variable in ("ALAD", "GAN"):
        return CHECKOUT / "architectures" / f"{name}.py", variable
    return CHECKOUT / "architectures" / f"{variable.lower()}.py", name.upper()


def is_there(name: str, variable: str) -> bool:
    page, in_page = place_of(name, variable)
    return re.search(rf"^{in_page} = ", page.read_text(encoding="utf-8"), re.MULTILINE) is not None


TABLES = [(name, variable) for name in architectures.DATASETS for variable in METHOD_OF if is_there(name, variable)]
MARK = re.compile(r"#\s*(D\d+)\s*$")
MARKED = "Dense Conv2D TransConv2D Concatenate Flatten Initializer Normal Xavier".split()

every_table = pytest.mark.parametrize(("name", "variable"), TABLES)


def load(name: str, variable: str) -> Any:
    return architectures.load(name, METHOD_OF[variable])


def normalised(text: str) -> list[str]:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if line]


def transcription(name: str, variable: str) -> str:
    return (TRANSCRIPTIONS / f"{name}-{variable}.txt").read_text(encoding="utf-8")


def comments(path: Path) -> dict[int, str]:
    """Line number -> comment."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def marks_of_page(name: str, variable: str) -> dict[int, str]:
    """Position in the table, counted over its rows and the initialiser -> mark, as written in the page."""
    path, in_page = place_of(OTHERS_TABLE.get(name, name), variable)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (table,) = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == in_page
    ]
    lines = sorted(
        node.lineno
        for node in ast.walk(table)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKED
    )
    marked = {line: match[1] for line, text in comments(path).items() if (match := MARK.match(text))}
    inside = {line for line in marked if table.lineno <= line <= (table.end_lineno or 0)}
    assert inside <= set(lines), "a mark stands at the row that it is about"
    return {lines.index(line): marked[line] for line in inside}


def marks_of_transcription(name: str, variable: str) -> dict[int, str]:
    plain = {"Concatenate x and x'", "Concatenate z and z'", "Concatenate outputs"}  # no row of its own in a page
    lines = [
        line
        for line in transcription(name, variable).splitlines()
        if line.split(" ")[0] in MARKED and line not in plain
    ]
    return {position: match[1] for position, line in enumerate(lines) if (match := MARK.search(line))}


def marks_in_the_code() -> set[str]:
    paths = [path for package in ("architectures", "alad_tf") for path in (CHECKOUT / package).rglob("*.py")]
    return {mark for path in paths for text in comments(path).values() for mark in re.findall(r"\bD\d+\b", text)}


@every_table
def test_table_equals_its_transcription(name: str, variable: str) -> None:
    expected = [MARK.sub("", line).strip() for line in normalised(transcription(name, variable))]
    assert normalised(architectures.render(load(name, variable))) == expected


def test_every_table_is_transcribed_and_every_transcription_has_its_table() -> None:
    assert {f"{name}-{variable}.txt" for name, variable in TABLES} == {path.name for path in TRANSCRIPTIONS.iterdir()}
    assert {name for name, variable in TABLES if variable == "ALAD"} == set(architectures.DATASETS)


def test_every_page_is_a_data_set() -> None:
    pages = {path.stem for path in (CHECKOUT / "architectures").glob("*.py")} - {"__init__", "rows", "tabular"}
    assert pages == {*architectures.DATASETS, "dsebm", "dagmm"}


@every_table
def test_marks_are_those_of_the_transcription(name: str, variable: str) -> None:
    assert marks_of_page(name, variable) == marks_of_transcription(name, variable)


def test_marks_are_found() -> None:
    """The paper prints one unit where E of KDD99 ends, and dropout on an output probability for Arrhythmia."""
    assert marks_of_page("kdd99", "ALAD") == {1: "D1"}
    assert list(marks_of_page("arrhythmia", "ALAD").values()) == ["D2"]
    assert marks_of_page("kdd99", "GAN") == {}
    assert sorted(marks_of_page("cifar10", "ALAD").values()) == ["D10", "D11"]


def test_every_mark_is_explained_in_the_readme() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    _, _, section = readme.partition("\n## Differences from the paper\n")
    section = section.split("\n## ")[0]
    explained = re.findall(r"^[*-] \*\*(D\d+)\*\*(.*)$", section, re.MULTILINE)
    numbers = [mark for mark, _ in explained]
    assert numbers == [f"D{number}" for number in range(1, len(numbers) + 1)]
    assert marks_in_the_code() <= set(numbers)
    assert all(len(text.split()) > 3 for _, text in explained)


# The vocabulary ---------------------------------------------------------------------------------------------------


@every_table
def test_tables_are_immutable(name: str, variable: str) -> None:
    table = load(name, variable)
    assert isinstance(hash(table), int)  # no list or dict in it
    stacks = {"ALAD": ("G", "E"), "GAN": ("G", "D"), "DSEBM": ("h",), "DAGMM": ("encoder", "decoder", "estimation")}
    words = [table, table.optimizer, table.initializer, rows.Flatten(), rows.MaxPool(2), rows.Concatenate("height")]
    words += [row for stack in stacks[variable] for row in getattr(table, stack)]
    words += [table.Dxz, table.Dxz.joint] if variable == "ALAD" else []
    for word in words:
        if isinstance(word, tuple):
            continue
        for field in dataclasses.fields(word):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(word, field.name, getattr(word, field.name))
    assert load(name, variable) is table


@pytest.mark.parametrize(("name", "variable"), [pair for pair in TABLES if pair[1] in ("ALAD", "GAN")])
def test_ends_of_the_stacks_fit_together(name: str, variable: str) -> None:
    table = load(name, variable)
    images = isinstance(table.data_dim, tuple)
    probability: Any = "None" if images else "Sigmoid"  # the table of images prints logits
    assert width(table.G[-1]) == (table.data_dim[-1] if images else table.data_dim)
    if variable == "GAN":
        assert table.D[-1] == rows.Dense(1, probability)
        return
    assert width(table.E[-1]) == table.latent_dim
    assert table.data_shape == (table.data_dim if images else (table.data_dim,))
    for discriminator in (table.Dxz, table.Dxx, table.Dzz):
        last = discriminator.joint[-1]
        assert (width(last), last.activation, last.batch_norm, last.dropout) == (1, probability, False, 0.0)
        assert discriminator.logits == dataclasses.replace(last, activation="None")
        assert len(discriminator.joint) > 1  # a feature layer


@pytest.mark.parametrize("name", [name for name, variable in TABLES if variable == "DAGMM"])
def test_ends_of_dagmm_fit_together(name: str) -> None:
    """The decoder ends where the encoder began, and the estimation network gives memberships."""
    table = load(name, "DAGMM")
    assert table.decoder[-1] == rows.Dense(table.data_dim, "None")
    assert table.encoder[-1].activation == "None" and table.estimation[-1].activation == "Softmax"
    assert [row.units for row in table.encoder[-2::-1]] == [row.units for row in table.decoder[:-1]]


@pytest.mark.parametrize(
    ("name", "variable", "stack"), [("kdd99", "ALAD", "G"), ("kdd99", "GAN", "G"), ("kdd99", "DAGMM", "decoder")]
)
def test_table_of_another_width_ends_in_it(name: str, variable: str, stack: str) -> None:
    table = load(name, variable)
    other = rows.of_width(table, 7)
    assert (other.data_dim, getattr(other, stack)[-1].units) == (7, 7)
    assert dataclasses.replace(other, data_dim=table.data_dim, **{stack: getattr(table, stack)}) == table


def test_energy_of_another_width() -> None:
    table = load("arrhythmia", "DSEBM")
    assert rows.of_width(table, 7) == dataclasses.replace(table, data_dim=7)


def width(row: Any) -> int:
    units: int = row.units if isinstance(row, rows.Dense) else row.maps
    return units


@every_table
def test_table_comes_back_from_its_document(name: str, variable: str) -> None:
    table = load(name, variable)
    if variable == "ALAD":
        assert rows.alad(json.loads(json.dumps(dataclasses.asdict(table)))) == table


def test_render_shows_every_entry() -> None:
    """A change to any entry of a table can be seen in print, but for Adam's constants of TensorFlow 1."""
    kdd99 = architectures.load("kdd99")
    assert isinstance(kdd99, rows.Alad)
    row = kdd99.Dxz.only_z[0]
    changed_rows = [
        dataclasses.replace(row, units=129),
        dataclasses.replace(row, activation="ReLU"),
        dataclasses.replace(row, batch_norm=True),
        dataclasses.replace(row, dropout=0.4),
    ]
    changes: list[dict[str, Any]] = [
        {"Dxz": dataclasses.replace(kdd99.Dxz, only_z=(changed,))} for changed in changed_rows
    ]
    changes += [
        {"name": "Other"},
        {"source": "Table X"},
        {"E": kdd99.E[1:]},
        {"G": kdd99.G[1:]},
        {"Dxz": dataclasses.replace(kdd99.Dxz, only_x=())},
        {"Dxx": kdd99.Dzz},
        {"Dzz": kdd99.Dxx},
        {"optimizer": dataclasses.replace(kdd99.optimizer, learning_rate=1e-4)},
        {"optimizer": dataclasses.replace(kdd99.optimizer, beta1=0.9)},
        {"batch_size": 51},
        {"latent_dim": 33},
        {"epochs": 101},
        {"lrelu_slope": 0.1},
        {"initializer": rows.Xavier(bias=0.5)},
        {"ge_steps": 5},
    ]
    _differ_in_print(kdd99, changes)


def test_render_shows_every_entry_of_a_convolution() -> None:
    cifar10 = architectures.load("cifar10")
    assert isinstance(cifar10, rows.Alad)
    conv, *others = cifar10.E
    changes: list[dict[str, Any]] = [
        {"E": (dataclasses.replace(conv, **change), *others)}
        for change in (
            {"kernel": 3},
            {"strides": 1},
            {"padding": "valid"},
            {"maps": 129},
            {"batch_norm": False},
            {"activation": "ReLU"},
            {"dropout": 0.1},
        )
    ]
    changes += [
        {"E": cifar10.G},
        {"E": (*cifar10.E, rows.Flatten())},
        {"Dxx": dataclasses.replace(cifar10.Dxx, joint=cifar10.Dxx.joint[1:])},
        {"Dxx": dataclasses.replace(cifar10.Dxx, joint=(rows.Concatenate("channels"), *cifar10.Dxx.joint[1:]))},
        {"initializer": rows.Normal(0.02)},
        {"initializer": rows.Normal(0.01, bias=0.5)},
        {"initializer": rows.Xavier()},
    ]
    _differ_in_print(cifar10, changes)


def test_render_shows_every_entry_of_the_baselines() -> None:
    adam = {"optimizer": rows.Adam(1e-3, beta1=0.1)}
    common: list[dict[str, Any]] = [{"name": "X"}, {"source": "X"}, {"batch_size": 7}, {"epochs": 7}, adam]
    common += [{"initializer": rows.Normal(0.02)}]
    dsebm, dagmm = load("cifar10", "DSEBM"), load("kdd99", "DAGMM")
    pooled = (dsebm.h[0], rows.MaxPool(4), *dsebm.h[2:])
    _differ_in_print(dsebm, [*common, {"h": dsebm.h[:-1]}, {"h": pooled}, {"noise": 0.5}])
    stacks = [{name: getattr(dagmm, name)[1:]} for name in ("encoder", "decoder", "estimation")]
    _differ_in_print(dagmm, [*common, *stacks, {"energy_weight": 0.2}, {"singularity_weight": 0.2}])


def _differ_in_print(table: Any, changes: list[dict[str, Any]]) -> None:
    printed = {architectures.render(dataclasses.replace(table, **change)) for change in changes}
    assert len(printed) == len(changes)
    assert architectures.render(table) not in printed


def test_adam_has_the_constants_of_tensorflow_1() -> None:
    for name, variable in TABLES:
        optimizer = load(name, variable).optimizer
        assert (optimizer.beta2, optimizer.epsilon) == (0.999, 1e-8)


@pytest.mark.parametrize("name", ["mnist", "", "KDD99", "rows", "__init__"])
def test_unknown_data_set(name: str) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"Received: {name!r}. Allowed: kdd99, arrhythmia, svhn, cifar10, toy")
    ):
        architectures.load(name)


@pytest.mark.parametrize("method", ["GAN", "alad", "dagmm", ""])
def test_unknown_method(method: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"Received: {method!r}. Allowed: ALAD, AnoGAN, DSEBM, DAGMM")):
        architectures.load("kdd99", method)


@pytest.mark.parametrize(
    "joint", [(), (rows.Dense(1, "Sigmoid"),), (rows.Concatenate("height"), rows.Dense(1, "Sigmoid"))]
)
def test_discriminator_without_a_feature_layer_is_refused(joint: rows.Stack) -> None:
    with pytest.raises(ValueError, match="Expected a feature row and the probability"):
        rows.Joint(joint=joint, only_x=(rows.Dense(4, "LReLU"),))


def test_toy_has_no_gan() -> None:
    assert ("toy", "GAN") not in TABLES
    with pytest.raises(ValueError, match="AnoGAN for toy.*Allowed for toy: ALAD"):
        architectures.load("toy", "AnoGAN")


# Imports ----------------------------------------------------------------------------------------------------------


def test_architectures_need_nothing_but_the_standard_library() -> None:
    """`-S` leaves out the installed packages altogether."""
    code = (
        "import architectures as a\n"
        "for name in a.DATASETS: a.render(a.load(name))\n"
        "a.render(a.load('kdd99', 'AnoGAN')); print('fine')"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=CHECKOUT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("fine\n", "")


@pytest.mark.parametrize("module", ["architectures", "alad_tf", "alad_tf.settings", "alad_tf.errors", "alad_tf.files"])
def test_light_imports(module: str) -> None:
    heavy = "tensorflow tensorflow_addons keras numpy scipy pandas sklearn matplotlib"
    code = f"import sys, {module}; print(sorted(set('{heavy}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
