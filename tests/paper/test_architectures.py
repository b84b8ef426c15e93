"""The tables equal the paper's, entered a second time; departures are marked and explained."""

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
from conftest import CHECKOUT

import architectures
from alad_tf.typing import Options
from architectures import rows

TRANSCRIPTIONS = Path(__file__).parent
METHOD_OF = {"ALAD": "ALAD", "GAN": "AnoGAN", "DSEBM": "DSEBM", "DAGMM": "DAGMM"}  # kind of table -> method
OTHERS_TABLE = {"svhn": "cifar10"}  # one table for both in the paper


def page_of(name: str, variable: str) -> tuple[Path, str]:
    """The module of a table, and its name there."""
    stem, assigned = (variable.lower(), name.upper()) if variable in ("DSEBM", "DAGMM") else (name, variable)
    return CHECKOUT / "architectures" / f"{stem}.py", assigned


def is_written(name: str, variable: str) -> bool:
    page, assigned = page_of(name, variable)
    return re.search(rf"^{assigned} = ", page.read_text(encoding="utf-8"), re.MULTILINE) is not None


TABLES = [(name, variable) for name in architectures.DATASETS for variable in METHOD_OF if is_written(name, variable)]
MARK = re.compile(r"#\s*(D\d+)\s*$")
MARKED = "Dense Conv2D TransConv2D Concatenate Flatten MaxPool Initializer Normal Xavier".split()

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
    """Position in the table, counted over its rows and the initialiser -> mark in the module."""
    path, assigned = page_of(OTHERS_TABLE.get(name, name), variable)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (table,) = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == assigned
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
    assert {f"{name}-{variable}.txt" for name, variable in TABLES} == {
        path.name for path in TRANSCRIPTIONS.glob("*.txt")
    }
    assert {name for name, variable in TABLES if variable == "ALAD"} == set(architectures.DATASETS)


def test_which_tables_there_are() -> None:
    """A GAN for all data sets of AnoGAN, DSEBM for all real data, DAGMM for tabular data."""
    assert tuple(METHOD_OF.values()) == architectures.METHODS
    has = {variable: {name for name, kind in TABLES if kind == variable} for variable in METHOD_OF}
    real = {"kdd99", "arrhythmia", "svhn", "cifar10"}
    assert has == {"ALAD": {*real, "toy"}, "GAN": real, "DSEBM": real, "DAGMM": {"kdd99", "arrhythmia"}}


def test_every_page_is_a_data_set_or_a_baseline() -> None:
    pages = {path.stem for path in (CHECKOUT / "architectures").glob("*.py")} - {"__init__", "rows", "tabular"}
    assert pages == {*architectures.DATASETS, "dsebm", "dagmm"}


@every_table
def test_marks_are_those_of_the_transcription(name: str, variable: str) -> None:
    assert marks_of_page(name, variable) == marks_of_transcription(name, variable)


def test_marks_are_found() -> None:
    """The paper prints one unit in the last row of E for KDD99."""
    assert marks_of_page("kdd99", "ALAD") == {1: "D1"}
    assert marks_of_page("arrhythmia", "ALAD") == {}
    assert marks_of_page("kdd99", "GAN") == {}
    assert sorted(marks_of_page("cifar10", "ALAD").values()) == ["D10", "D11"]


def test_every_mark_is_explained() -> None:
    """docs/differences.md has a section for each number, with the paper's version, ours and the reason."""
    page = (CHECKOUT / "docs" / "differences.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (D\d+): [A-Z].*?\n(.*?)(?=^##|\Z)", page, re.M | re.S))
    assert page.count("\n### D") == len(sections)
    assert set(sections) == {f"D{number}" for number in range(1, len(sections) + 1)}
    assert marks_in_the_code() <= set(sections)
    for name, section in sections.items():
        rows = dict(re.findall(r"^\| (\w[\w ]*) \| (.+?) \|$", section, re.M))
        assert {"Paper", "Here", "Reason"} <= set(rows) <= {"Paper", "Released code", "Here", "Reason", "Effect"}, name


# The vocabulary ---------------------------------------------------------------------------------------------------


@every_table
def test_tables_are_immutable(name: str, variable: str) -> None:
    table = load(name, variable)
    assert isinstance(hash(table), int)  # no list or dict in it
    words = [table, table.optimizer, table.initializer, rows.Flatten(), rows.MaxPool(2), rows.Concatenate("height")]
    words += [row for stack in stacks_of(table) for row in stack]
    words += [table.Dxz, table.Dxx, table.Dzz] if variable == "ALAD" else []
    for word in words:
        for field in dataclasses.fields(word):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(word, field.name, getattr(word, field.name))
    assert load(name, variable) is table


def stacks_of(table: Any) -> list[rows.Stack]:
    """All stacks of rows in a table, those inside discriminators of pairs too."""
    values = [getattr(table, field.name) for field in dataclasses.fields(table)]
    joints = [value for value in values if isinstance(value, rows.Joint)]
    inside = [getattr(joint, field.name) for joint in joints for field in dataclasses.fields(joint)]
    return [value for value in (*values, *inside) if isinstance(value, tuple) and not isinstance((*value, 0)[0], int)]


def test_stacks_are_found() -> None:
    found = {variable: len(stacks_of(load("kdd99", variable))) for variable in METHOD_OF}
    assert found == {"ALAD": 2 + 3 + 2, "GAN": 2, "DSEBM": 1, "DAGMM": 3}


@pytest.mark.parametrize(("name", "variable"), [table for table in TABLES if table[1] in ("ALAD", "GAN")])
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


@pytest.mark.parametrize(("name", "variable"), [table for table in TABLES if table[1] in ("DSEBM", "DAGMM")])
def test_ends_of_the_baselines_fit_together(name: str, variable: str) -> None:
    """x' has the size of x; memberships of K Gaussians sum to one; codes have no activation."""
    table, alad = load(name, variable), load(name, "ALAD")
    assert (table.name, table.data_dim, table.data_shape) == (alad.name, alad.data_dim, alad.data_shape)
    if variable == "DSEBM":
        assert {row.activation for row in table.h if hasattr(row, "activation")} == {"Softplus"}
        assert all(row.dropout == 0.0 and not row.batch_norm for row in table.h if hasattr(row, "activation"))
        assert isinstance(table.h[-1], rows.Dense)  # h(x) [n, units]
        return
    assert table.decoder[-1] == rows.Dense(table.data_dim, "None")
    assert [width(row) for row in table.decoder[:-1]] == [width(row) for row in table.encoder[-2::-1]]
    assert table.encoder[-1].activation == "None"
    gaussians = {"kdd99": 4, "arrhythmia": 2}[name]
    assert table.estimation[-1] == rows.Dense(gaussians, "Softmax")
    assert {row.activation for stack in stacks_of(table) for row in stack[:-1]} == {"Tanh"}


@pytest.mark.parametrize(("name", "variable"), [("kdd99", v) for v in METHOD_OF] + [("arrhythmia", "DAGMM")])
def test_table_of_another_width(name: str, variable: str) -> None:
    """The width of the output layer of x' changes too; the rest of the table is unchanged."""
    table = load(name, variable)
    other = rows.of_width(table, 7)
    assert other.data_dim == 7 and rows.of_width(other, table.data_dim) == table
    outputs = {"ALAD": "G", "GAN": "G", "DAGMM": "decoder"}
    differing = {f.name for f in dataclasses.fields(table) if getattr(other, f.name) != getattr(table, f.name)}
    assert differing == {"data_dim", *([outputs[variable]] if variable in outputs else [])}
    if variable in outputs:
        *hidden, last = getattr(other, outputs[variable])
        assert last == rows.Dense(7, "None") and tuple(hidden) == getattr(table, outputs[variable])[:-1]


def width(row: Any) -> int:
    units: int = row.units if isinstance(row, rows.Dense) else row.maps
    return units


@every_table
def test_table_comes_back_from_its_document(name: str, variable: str) -> None:
    table = load(name, variable)
    if variable == "ALAD":
        assert rows.alad(json.loads(json.dumps(dataclasses.asdict(table)))) == table


def test_render_shows_every_entry() -> None:
    """A change to any entry is visible in the printed table, except for Adam's constants of TensorFlow 1."""
    kdd99 = architectures.load("kdd99")
    assert isinstance(kdd99, rows.Alad)
    row = kdd99.Dxz.only_z[0]
    changed_rows = [
        dataclasses.replace(row, units=129),
        dataclasses.replace(row, activation="ReLU"),
        dataclasses.replace(row, batch_norm=True),
        dataclasses.replace(row, dropout=0.4),
    ]
    changes: list[Options] = [{"Dxz": dataclasses.replace(kdd99.Dxz, only_z=(changed,))} for changed in changed_rows]
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
    changes: list[Options] = [
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


def test_render_shows_every_entry_of_a_gan() -> None:
    table = load("kdd99", "GAN")
    changes: list[Options] = [{"G": table.G[1:]}, {"D": table.D[1:]}, {"latent_dim": 33}, {"lrelu_slope": 0.1}]
    _differ_in_print(table, [*changes, *_common_changes(table)])


@pytest.mark.parametrize("name", ["kdd99", "cifar10"])
def test_render_shows_every_entry_of_dsebm(name: str) -> None:
    table = load(name, "DSEBM")
    *others, last = table.h
    changes: list[Options] = [
        {"h": (*others, dataclasses.replace(last, **change))} for change in ({"units": 9}, {"activation": "Tanh"})
    ]
    changes += [{"h": table.h[1:]}, {"noise": 0.5}, *_common_changes(table)]
    if name == "cifar10":
        conv, _, *rest = table.h
        changes.append({"h": (conv, rows.MaxPool(4), *rest)})
    _differ_in_print(table, changes)


def test_render_shows_every_entry_of_dagmm() -> None:
    table = load("kdd99", "DAGMM")
    changes: list[Options] = [{name: getattr(table, name)[1:]} for name in ("encoder", "decoder", "estimation")]
    changes += [
        {"estimation": (dataclasses.replace(table.estimation[0], dropout=0.4), table.estimation[1])},
        {"energy_weight": 0.2},
        {"singularity_weight": 0.1},
    ]
    _differ_in_print(table, [*changes, *_common_changes(table)])


def _common_changes(table: Any) -> list[dict[str, Any]]:
    return [
        {"name": "Other"},
        {"source": "Table 0"},
        {"optimizer": dataclasses.replace(table.optimizer, learning_rate=1e-2)},
        {"optimizer": dataclasses.replace(table.optimizer, beta1=0.7)},
        {"batch_size": 51},
        {"epochs": 101},
        {"initializer": rows.Xavier(bias=0.5)},
        {"initializer": rows.Normal(0.02)},
    ]


def _differ_in_print(table: Any, changes: list[Options]) -> None:
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


@pytest.mark.parametrize("method", ["GAN", "alad", "dagmm", "IF", ""])
def test_unknown_method(method: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"Received: {method!r}. Allowed: ALAD, AnoGAN, DSEBM, DAGMM")):
        architectures.load("kdd99", method)


@pytest.mark.parametrize(
    "joint", [(), (rows.Dense(1, "Sigmoid"),), (rows.Concatenate("height"), rows.Dense(1, "Sigmoid"))]
)
def test_discriminator_without_a_feature_layer_is_refused(joint: rows.Stack) -> None:
    with pytest.raises(ValueError, match="Expected a feature row and the probability"):
        rows.Joint(joint=joint, only_x=(rows.Dense(4, "LReLU"),))


@pytest.mark.parametrize(
    ("name", "method", "allowed"),
    [("toy", "AnoGAN", "ALAD"), ("toy", "DSEBM", "ALAD"), ("svhn", "DAGMM", "ALAD, AnoGAN, DSEBM")],
)
def test_table_that_does_not_exist(name: str, method: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"{method} for {name}, but there is none. Allowed for {name}: {allowed}$"):
        architectures.load(name, method)


# Imports ----------------------------------------------------------------------------------------------------------


def test_architectures_need_nothing_but_the_standard_library() -> None:
    """`-S` makes Python ignore installed packages."""
    code = (
        "import architectures as a\n"
        "for name in a.DATASETS: a.render(a.load(name))\n"
        "for method in a.METHODS: a.render(a.load('kdd99', method))\n"
        "print('fine')"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=CHECKOUT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("fine\n", "")


@pytest.mark.parametrize(
    "module",
    [
        *(
            "architectures",
            "alad_tf",
            "alad_tf.experiments.settings",
            "alad_tf.errors",
            "alad_tf.io.atomic",
            "alad_tf.baselines",
        ),
        "alad_tf.experiments.baseline_settings",
    ],
)
def test_light_imports(module: str) -> None:
    heavy = "tensorflow tensorflow_addons keras numpy scipy pandas sklearn matplotlib"
    code = f"import sys, {module}; print(sorted(set('{heavy}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
