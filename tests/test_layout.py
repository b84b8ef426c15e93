"""Layout of the package: directions of imports, lengths of files; required data in CI."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from conftest import CHECKOUT

PACKAGE = CHECKOUT / "alad_tf"

LINES, CLASS_LINES, FUNCTION_LINES = 450, 300, 60  # at most

HEAVY = "tensorflow tensorflow_addons keras numpy scipy pandas pyarrow sklearn matplotlib".split()


def modules() -> dict[str, Path]:
    return {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")}


def imported(path: Path, lazy: bool = True) -> set[str]:
    """Full names that a file imports, "package.module.name"; without imports inside functions if `lazy` is False."""
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


def test_imports_point_one_way() -> None:
    """The contracts are in .importlinter."""
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("no import-linter in this environment")
    done = subprocess.run([linter], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_modules_import_each_other() -> None:
    """Not inside functions either, where import-linter allows it within a folder."""
    paths = {f"alad_tf.{name.replace('/', '.')}": path for name, path in modules().items()}
    graph = {
        name: {module for full in imported(path) for module in (full, full.rpartition(".")[0]) if module in paths}
        for name, path in paths.items()
    }
    assert graph["alad_tf.cli.reproduce"] >= {"alad_tf.options", "alad_tf.experiments.scheduler"}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", sorted((CHECKOUT / "architectures").glob("*.py")), ids=lambda path: path.stem)
def test_tables_are_pure_data(path: Path) -> None:
    standard = {"__future__", "collections", "dataclasses", "importlib", "math", "typing"}
    assert packages(imported(path)) <= {"architectures", *standard}


def test_files_classes_and_functions_are_short() -> None:
    folders = (CHECKOUT / name for name in ("alad_tf", "architectures", "benchmarks", "examples", "tests"))
    long = []
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        name, text = path.relative_to(CHECKOUT).as_posix(), path.read_text(encoding="utf-8")
        if len(text.splitlines()) > LINES:
            long.append(name)
        for node in ast.walk(ast.parse(text)):
            most = CLASS_LINES if isinstance(node, ast.ClassDef) else FUNCTION_LINES
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and (node.end_lineno or 0) - node.lineno >= most:
                long.append(f"{name}: {node.name}")
    assert not long


def test_only_one_module_imports_tensorflow_addons() -> None:
    users = {name for name, path in modules().items() if "tensorflow_addons" in packages(imported(path))}
    assert users == {"model/addons_norm"}


def test_only_one_module_tells_versions_apart() -> None:
    """All other modules are written for both stacks and do not check versions."""
    questions = re.compile(
        r"__version__\.split|version_info *[<>=]|KERAS_3|parse_version|packaging\.version|hasattr\((tf|keras|np)\b"
    )
    users = {name for name, path in modules().items() if questions.search(path.read_text(encoding="utf-8"))}
    assert users == {"model/keras_versions"}


def test_graphs_are_traced_without_autograph() -> None:
    """AutoGraph raises a DeprecationWarning on Python 3.13, which fails the tracing where warnings are errors."""
    calls = [
        ast.unparse(node)
        for path in modules().values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tf.function"
    ]
    assert len(calls) > 3 and not [call for call in calls if "autograph=False" not in call]


def test_data_reports_and_files_import_no_tensorflow() -> None:
    users = {name for name, path in modules().items() if packages(imported(path)) & {"tensorflow", "keras"}}
    assert {name.split("/")[0] for name in users}.isdisjoint({"data", "report", "io", "tabular", "options", "paths"})


def test_command_line_imports_lazily() -> None:
    for path in (PACKAGE / "cli").glob("*.py"):
        assert packages(imported(path, lazy=False)).isdisjoint(HEAVY)


def test_quick_commands_import_nothing_heavy() -> None:
    commands = ["--help", "--version", "reproduce --help", "show kdd99", "show mnist", "reproduce x"]
    slow = [*HEAVY, "alad_tf.experiments.settings"]
    code = (
        "import sys; from alad_tf.__main__ import main\n"
        "for command in sys.argv[1:]:\n"
        "    main(command.split())\n"
        f"    print('imports of', command, sorted(set({slow}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *commands], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imports = [line for line in done.stdout.splitlines() if line.startswith("imports of ")]
    assert imports == [f"imports of {command} []" for command in commands]


def test_required_data(tmp_path: Path) -> None:
    """ALAD_REQUIRE_DATA=1 turns a skip for missing data into a failure, which names the folder without them."""
    test = "tests/data/test_arrhythmia.py::test_arrhythmia_counts_and_halves"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "--no-header", test]
    environment = {**os.environ, "ALAD_DATA_DIR": str(tmp_path), "ALAD_REQUIRE_DATA": "1"}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "1 error" in done.stdout
    assert f"arrhythmia.mat not in {tmp_path}" in done.stdout
