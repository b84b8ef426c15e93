"""Imports point one way; data are required where CI says so."""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "alad_tf"

# What each module of alad_tf may import of alad_tf and of the tables.
MAY_IMPORT = {
    "__init__": "batch estimator sources",
    "errors": "",
    "files": "errors",
    "images": "errors",
    "packed": "errors files",
    "data": "errors files images",
    "metrics": "errors files",
    "paper": "errors files",
    "spectral": "errors files",
    "plots": "errors files",
    "rendering": "",
    "results": "errors paper",
    "report": "errors paper rendering results",
    "settings": "errors files architectures",
    "replicas": "errors",
    "workers": "errors",
    "networks": "replicas spectral architectures",
    "losses": "networks settings architectures",
    "scores": "networks settings spectral architectures",
    "checkpoints": "errors files",
    "loop": "networks replicas architectures",
    "training": "errors loop losses networks replicas architectures",
    "chunks": "networks",
    "outliers": "",
    "baselines/__init__": "",
    "baselines/settings": "errors settings architectures",
    "baselines/classical": "baselines/settings outliers",
    "baselines/dsebm": "chunks loop networks architectures",
    "baselines/dagmm": "chunks loop networks architectures",
    "baselines/anogan": "chunks loop networks architectures",
    "baselines/detector": "baselines/anogan baselines/dagmm baselines/dsebm chunks errors feature_rows loop "
    "outliers architectures",
    "methods": "baselines/anogan baselines/classical baselines/dagmm baselines/dsebm baselines/settings chunks loop "
    "networks replicas scores settings training",
    "latency": "baselines/anogan data errors files folding networks paper scores settings architectures",
    "calibration": "",
    "model_folder": "errors files packed",
    "fitting": "errors networks scores training",
    "explanations": "calibration",
    "feature_rows": "errors",
    "own_networks": "errors networks",
    "estimator": "__version__ calibration errors explanations feature_rows fitting folding model_folder networks "
    "outliers own_networks scores settings training architectures",
    "columns": "errors",
    "frames": "errors packed",
    "preprocessing": "columns errors",
    "own_data": "calibration columns errors estimator explanations files frames metrics model_folder preprocessing",
    "experiment": "baselines/settings checkpoints chunks data errors files loop methods metrics networks packed plots "
    "replicas settings workers",
    "runs": "baselines/settings data errors files settings experiment paper plots report workers",
    "plan": "baselines/settings errors paper report results runs settings",
    "tables": "files paper plots rendering report results",
    "folding": "files networks spectral",
    "signatures": "errors folding networks scores settings",
    "sources": "calibration data errors estimator experiment model_folder networks preprocessing settings signatures",
    "wire": "",
    "c_loader": "errors wire",
    "exported": "errors files",
    "export": "__version__ c_loader errors exported files networks preprocessing scores signatures sources wire",
    "convert": "errors files signatures",
    "serve_config": "errors exported files",
    "client": "errors",
    "batch": "columns errors exported",
    "cluster": "batch errors exported files",
    "__main__": "baselines/settings cluster convert errors export latency own_data plan report runs serve_config "
    "settings sources tables workers architectures",
}
WITH_TENSORFLOW = {
    *("replicas", "spectral", "checkpoints", "networks", "losses", "scores", "training", "fitting", "estimator"),
    *("own_networks", "folding", "signatures", "export", "convert", "client", "batch", "loop", "methods", "latency"),
    *("baselines/dsebm", "baselines/dagmm", "baselines/anogan", "chunks"),
}
HEAVY = "tensorflow tensorflow_addons keras numpy scipy pandas pyarrow sklearn matplotlib".split()


def modules() -> dict[str, Path]:
    return {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")}


def imported(path: Path, lazy: bool = True) -> set[str]:
    """Full names that a file imports, "package.module.name"; without those inside functions where `lazy` is False."""
    return set(_imported([ast.parse(path.read_text(encoding="utf-8"))], lazy))


def _imported(nodes: list[ast.AST], lazy: bool) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not ((isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not lazy) or _for_types_only(node)):
            yield from _imported(list(ast.iter_child_nodes(node)), lazy)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def packages(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def own(names: set[str]) -> set[str]:
    """Modules of alad_tf among the names, those of a package in it as "package/module", and "architectures"."""
    parts = [name.split(".") for name in names if name.startswith("alad_tf.")]
    inside = {"/".join(part[1:3]) if part[1] == "baselines" else part[1] for part in parts}
    return inside | ({"architectures"} & packages(names))


def test_names_are_read_from_every_kind_of_statement(tmp_path: Path) -> None:
    source = (
        "from typing import TYPE_CHECKING\nimport a.b, c\nfrom d import e as f, g\n"
        "if TYPE_CHECKING:\n    import hidden\n"
        "with h:\n    import i\ntry:\n    import j\nexcept ImportError:\n    import k\n"
        "class C:\n    import l\n    def m(self):\n        if n:\n            import o\n"
    )
    (tmp_path / "module.py").write_text(source)
    eager = {"typing.TYPE_CHECKING", "a.b", "c", "d.e", "d.g", "i", "j", "k", "l"}
    assert imported(tmp_path / "module.py") == eager | {"o"}
    assert imported(tmp_path / "module.py", lazy=False) == eager
    names = {"alad_tf.data", "alad_tf.errors.DataError", "alad_tf.baselines.dagmm.Trainer", "architectures.rows.Alad"}
    assert own({*names, "os.path"}) == {
        "data",
        "errors",
        "baselines/dagmm",
        "architectures",
    }


def test_every_module_has_its_place() -> None:
    assert set(modules()) == set(MAY_IMPORT)


def test_order_has_no_circle() -> None:
    graph = {module: set(allowed.split()) for module, allowed in MAY_IMPORT.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert order.index("networks") < order.index("training") < order.index("experiment") < order.index("__main__")


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_imports_point_one_way(module: str) -> None:
    assert own(imported(PACKAGE / f"{module}.py")) <= set(MAY_IMPORT[module].split())


def test_only_experiment_knows_both_data_and_methods() -> None:
    both = {name for name, path in modules().items() if {"data", "methods"} <= own(imported(path))}
    assert both == {"experiment"}


@pytest.mark.parametrize("path", sorted((CHECKOUT / "architectures").glob("*.py")), ids=lambda path: path.stem)
def test_tables_are_pure_data(path: Path) -> None:
    standard = {"__future__", "collections", "dataclasses", "importlib", "math", "typing"}
    assert packages(imported(path)) <= {"architectures", *standard}


def test_only_spectral_imports_tensorflow_addons() -> None:
    users = {name for name, path in modules().items() if "tensorflow_addons" in packages(imported(path))}
    assert users == {"spectral"}


def test_only_the_method_imports_tensorflow() -> None:
    users = {name for name, path in modules().items() if packages(imported(path)) & {"tensorflow", "keras"}}
    assert users <= WITH_TENSORFLOW


def test_command_line_imports_lazily() -> None:
    light = {"baselines/settings", "errors", "files", "settings", "architectures"}
    assert own(imported(PACKAGE / "__main__.py", lazy=False)) <= light
    assert packages(imported(PACKAGE / "__main__.py", lazy=False)).isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["reproduce", "--help"], ["show", "kdd99"], ["show", "mnist"], ["reproduce", "x"]]
)
def test_quick_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from alad_tf.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("required", "outcome", "code"), [("0", "1 skipped", 0), ("", "1 skipped", 0), ("1", "1 error", 1)]
)
def test_required_data(tmp_path: Path, required: str, outcome: str, code: int) -> None:
    """ALAD_REQUIRE_DATA=1 makes a failure of a skip for want of data; the reason is named either way."""
    test = "tests/test_data.py::test_arrhythmia_counts_and_halves"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "--no-header", test]
    environment = {**os.environ, "ALAD_DATA_DIR": str(tmp_path), "ALAD_REQUIRE_DATA": required}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert outcome in done.stdout
    assert f"arrhythmia.mat not in {tmp_path}" in done.stdout
    assert done.returncode == code
