"""Commands and Python of the docs run in the order of each page, with fewer epochs and rows."""

from __future__ import annotations

import functools
import re
import shlex
import signal
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pandas as pd
import pytest
from conftest import CHECKOUT

import alad_tf
from alad_tf.cli import main as command_line
from alad_tf.data import raw_files
from alad_tf.options import SCORES
from alad_tf.paths import published_results
from alad_tf.report import comparison, paper, results

KDD99 = raw_files.RAW_FILES["kdd99"][0].name
SHORTER = {"fit": ["--epochs", "2"], "reproduce": ["--epochs", "1", "--runs", "1", "--jobs", "1"]}
# By data set: a training of one epoch takes longer than a test should.
NOT_RUN = {("reproduce", "kdd99"), ("reproduce", "arrhythmia"), ("tables", "--budget")}
README = CHECKOUT / "README.md"
# Of pytest, of pip-audit, and of the scripts in benchmarks/ and tests/.
OTHER_OPTIONS = {"--stack", "--slow", "--write-table", "--strict", "--json", "--kills", "--seconds"}
OTHER_OPTIONS |= {"--record", "--round", "--jax", "--random", "--torch-compile"}
# Figures in running text: page -> data set (or a part of it), method, score, metric.
QUOTED = {
    "README.md": """
        arrhythmia ALAD features auroc
        arrhythmia mean score auroc
        arrhythmia IF score auroc
        arrhythmia kNN score auroc
        kdd99 ALAD features auroc
        kdd99 kNN score auroc
        kdd99 ALAD features average_precision
        kdd99 kNN score average_precision
        kdd99:unshared ALAD features auroc
        kdd99:unshared IF score auroc
        kdd99:unshared kNN score auroc
        cifar10 ALAD-releasedDynamics features auroc
        cifar10 IF score auroc
    """,
    "docs/baselines.md": """
        kdd99 IF score f1
        kdd99 IF score auroc
        kdd99 DAGMM energy f1
        kdd99 DSEBM energy f1
        kdd99 DSEBM reconstruction f1
        kdd99 kNN score f1
        kdd99 kNN score auroc
        kdd99 kNN score average_precision
        kdd99 ALAD features f1
        kdd99 ALAD features auroc
        kdd99 ALAD features average_precision
        kdd99:unshared IF score auroc
        kdd99:unshared kNN score auroc
        kdd99:unshared ALAD features auroc
        arrhythmia IF score f1
        arrhythmia DAGMM energy f1
        arrhythmia AnoGAN released f1
        arrhythmia AnoGAN schlegl f1
        arrhythmia mean score f1
        arrhythmia mean score auroc
        arrhythmia ALAD features f1
        arrhythmia ALAD features auroc
        cifar10 IF score auroc
        cifar10 OC-SVM score auroc
        cifar10 mean score auroc
        cifar10 kNN score auroc
        cifar10:0 AnoGAN released auroc
        cifar10:0 AnoGAN schlegl auroc
        cifar10:1 AnoGAN released auroc
        cifar10:1 AnoGAN schlegl auroc
        cifar10:2 AnoGAN released auroc
        cifar10:2 AnoGAN schlegl auroc
        cifar10 DSEBM energy auroc
        cifar10 DSEBM reconstruction auroc
        cifar10:0 IF score auroc
        cifar10:0 ALAD-releasedDynamics features auroc
        cifar10:0 ALAD-releasedDynamics l1 auroc
    """,
    "docs/images.md": """
        cifar10:0 ALAD-releasedDynamics features auroc
        cifar10:1 ALAD-releasedDynamics features auroc
        cifar10:0 ALAD features auroc
        cifar10:1 ALAD features auroc
    """,
}
OUTSIDE = ("tensorboard", "tensorflow_model_server", "docker", "curl", "pip", "git")


def blocks(page: str) -> list[tuple[str, str, str]]:
    """(language, what it needs, text) of each fenced block of a page."""
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```(python|bash) ?([a-z0-9]*)\n(.*?)^```$", text, re.S | re.M)


def commands(text: str) -> list[list[str]]:
    """Command lines of a block, comments left out, `./reproduce.sh` as the command that it calls."""
    lines = [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]
    return [_plain(line) for line in lines if line]


def _plain(line: list[str]) -> list[str]:
    if line[0] != "./reproduce.sh":
        return line
    return ["alad", "reproduce", *line[1:]] if line[1] != "tables" else ["alad", *line[1:]]


class Page:
    """The blocks of a page that need nothing, or this: run in order, in a folder."""

    def __init__(self, page: str, needs: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capfd = folder, capfd
        self.outputs: dict[str, str] = {}  # standard output by command
        self.printed = ""  # by Python
        names: dict[str, object] = {}
        for language, needed, text in blocks(page):
            if needed != needs:
                continue
            if language == "python":
                exec(compile(text, page, "exec"), names)
                self.printed += capfd.readouterr().out
                continue
            for line in commands(text):
                if line[0] not in OUTSIDE and tuple(line[1:3]) not in NOT_RUN:
                    self.outputs[" ".join(line)] = self.run(line)

    def run(self, line: list[str]) -> str:
        """Standard output of a command."""
        assert line[0] == "alad", line
        arguments = [*line[1:], *SHORTER.get(line[1], [])]
        if line[1] in ("reproduce", "table", "tables"):
            arguments += ["--out", str(self.folder / "results")]
        handler = signal.getsignal(signal.SIGTERM)
        code, said = command_line.main(arguments), self.capfd.readouterr()
        signal.signal(signal.SIGTERM, handler)
        assert code == 0, (line, said.err)
        assert "Traceback" not in said.err and "alad: error" not in said.err
        return said.out


@pytest.fixture
def run_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Page]:
    """`run_page(page, needs)` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda page, needs="": Page(page, needs, tmp_path, capfd)


@pytest.mark.slow
def test_own_data(run_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHORTER, "fit", ["--epochs", "20"])
    fit, score, inspect = run_page("own-data.md").outputs.values()
    auroc = re.search(r"AUROC ([\d.]+)", fit)
    assert auroc and float(auroc[1]) > 0.9
    assert "391 rows" in score and "numeric        30" in inspect
    columns = list(pd.read_csv("scored.csv").columns)
    assert columns[:2] == ["row", "mean radius"] and "score" in columns[30:]
    kinds = ("feature_", "value_", "expected_", "contribution_", "share_")
    explained = [name for name in columns if name.startswith(kinds)]
    assert explained == [f"{kind}{k}" for k in (1, 2, 3) for kind in kinds]


@pytest.mark.slow
def test_own_data_on_kdd99(run_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch) -> None:
    """On the first rows only."""
    monkeypatch.setattr(pd, "read_csv", functools.partial(pd.read_csv, nrows=20_000))
    fit, score = run_page("own-data.md", "kdd99").outputs.values()
    assert "AUROC" in fit and "AUROC" in score
    assert len(pd.read_parquet("scored.parquet")) == 10_000


@pytest.mark.slow
def test_tune(run_page: Callable[..., Page]) -> None:
    page = run_page("tune.md")
    assert "'score_name'" in page.printed
    assert [line.split()[1] for line in page.outputs] == ["show", "fit", "inspect", "fit", "fit"]
    show, _, inspect, by_l2, _ = page.outputs.values()
    assert "Table XI for 30 features" in show and "AUROC" in by_l2
    assert re.search(r"epochs +2\n", inspect)
    assert list(Path("logs").iterdir())


@pytest.mark.slow
def test_reproduce(run_page: Callable[..., Page], tmp_path: Path) -> None:
    outputs = run_page("reproduce.md").outputs
    assert "Table XI" in outputs["alad show kdd99"]
    assert "Table V" in outputs["alad table 5"]
    assert "Table VIII" in outputs["alad tables"] and outputs["alad table 2 --format csv"].startswith("data_set,model")
    assert (tmp_path / "results" / "toy").is_dir() and (tmp_path / "results" / "tables" / "table5.csv").is_file()


def every_page() -> list[Path]:
    return sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")])


def test_every_command_parses() -> None:
    """Also commands that the tests above skip, on every page."""
    count = 0
    for page in every_page():
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```bash ?[a-z0-9]*\n(.*?)^```$", text, re.S | re.M):
            for line in commands(block):
                if line[0] == "alad" and line[:3] != ["alad", "reproduce", "test"]:
                    command_line.alad.commands[line[1]].make_context(line[1], line[2:])
                    count += 1
    assert count > 30


def options_by_verb() -> dict[str, set[str]]:
    """Verb of the command line -> its options."""
    return {
        verb: {"--help", *(name for param in command.params for name in (*param.opts, *param.secondary_opts))}
        for verb, command in command_line.alad.commands.items()
    }


@pytest.mark.parametrize("page", every_page(), ids=lambda page: page.name)
def test_verbs_and_options_in_the_text_exist(page: Path) -> None:
    """`alad VERB --option` in running text, and options that stand alone."""
    options = options_by_verb()
    anywhere = set().union(*options.values(), OTHER_OPTIONS)
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for code in re.findall(r"`([^`\n]+)`", text):
        words = code.split()
        named = {word.split("=")[0] for word in words if re.match(r"--[a-z]", word)}
        if words[0] == "alad" and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in options, (page.name, code)
            assert named <= options[words[1]], (page.name, code)
        assert named <= anywhere, (page.name, code)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and MkDocs make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", every_page(), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = page.parent / path if path else page
        assert place.exists(), (page.name, target)
        assert not anchor or anchor in anchors(place), (page.name, target)


@pytest.mark.parametrize("page", every_page(), ids=lambda page: page.name)
def test_files_in_the_text_exist(page: Path) -> None:
    """Paths such as `alad_tf/model/scores.py`; a bare `losses.py` is in the folder named before it in its line."""
    for line in page.read_text(encoding="utf-8").splitlines():
        folder = None
        for top, name in re.findall(r"`((?:alad_tf|architectures|benchmarks|docs|examples|tests)/)?([\w./-]+)`", line):
            if top and "NAME" not in name:
                assert (CHECKOUT / top / name).exists(), (page.name, top + name)
                folder = (CHECKOUT / top / name).parent
            elif folder and re.fullmatch(r"\w+\.py", name):
                assert (folder / name).exists(), (page.name, name)


def test_readme_is_a_front_page() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 150


def test_python_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (source,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.S | re.M)
    rows = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    names: dict[str, Any] = {"X_train": rows, "X_new": rows[:7]}
    exec(compile(source.replace("ALAD(", "ALAD(epochs=1, verbose=0, "), "README.md", "exec"), names)
    assert names["scores"].shape == names["labels"].shape == (7,)
    assert names["columns"]["row"].nunique() == 7
    assert (tmp_path / "detector" / "manifest.json").is_file()


def all_tables(out: Path) -> str:
    """Every table of the paper from the published results, as the page shows them."""
    tables = [comparison.table(name, out, published_results()) for name in comparison.TABLES]
    text = "\n".join(table.as_markdown().replace(f"**{table.title}**", f"### {table.title}", 1) for table in tables)
    return re.sub(r" \[(\d+)\]", r" <sup>\1</sup>", text)  # brackets are links in Markdown


def kdd99_table(out: Path) -> str:
    """F1 of each method on KDD99 beside the paper's: part of Table II."""
    table = comparison.table("2", out, published_results())
    f1 = table.header.index("F1")
    headings = [number for number, row in enumerate(table.rows) if len(row) == 1]
    rows = [table.header, *table.rows[headings[0] + 1 : headings[1]]]
    lines = [
        [re.sub(r" \[\d+\]", "", row[0]).strip(), row[1].replace(" published", ""), *row[f1 : f1 + 3]] for row in rows
    ]
    lines.insert(1, ["---"] * 5)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


# AUROC of ALAD by class in the paper's Figure 4, read by eye.
FIGURE_4 = (0.68, 0.46, 0.63, 0.62, 0.67, 0.53, 0.78, 0.52, 0.77, 0.42)


def classes_table(out: Path) -> str:
    """AUROC of ALAD by class of CIFAR-10 with either training dynamics, beside isolation forest."""
    published = results.Results(published_results(), published=True)
    forest = {results.task_of(run): run["scores"]["score"]["auroc"] for run in published.of("cifar10", "IF")}
    rows = []
    for name, method in (("released", "ALAD-releasedDynamics"), ("paper", "ALAD")):
        for run in published.of("cifar10", method):
            task, epochs = run["settings"]["normal_class"], (run["last_epoch"], run["best"]["epoch"])
            aurocs = [run["scores"][score]["auroc"] for score in SCORES]
            values = [
                f"{aurocs[0]:.3f}",
                f"{FIGURE_4[task]:.2f}",
                *(f"{auroc:.3f}" for auroc in (*aurocs[1:], forest[task])),
            ]
            rows.append((task, [paper.CLASS_NAMES["cifar10"][task], name, *map(str, epochs), *values]))
    header = ["Normal class", "Dynamics", "Epochs", "Best", SCORES[0], "Figure 4", *SCORES[1:], "IF"]
    lines = [header, ["---"] * len(header), *(row for _, row in sorted(rows, key=lambda row: row[0]))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


PAGES_WITH_TABLES = [
    ("README.md", kdd99_table),
    ("docs/results.md", all_tables),
    ("docs/images.md", classes_table),
]


@pytest.mark.parametrize(("page", "made"), PAGES_WITH_TABLES)
def test_tables_are_those_of_the_published_results(
    page: str, made: Callable[[Path], str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = CHECKOUT / page
    head, begin, rest = path.read_text(encoding="utf-8").partition("<!-- results -->\n")
    printed, end, tail = rest.partition("<!-- end of results -->")
    expected = f"\n{made(tmp_path)}\n"
    if request.config.getoption("--write-table"):
        path.write_text(head + begin + expected + end + tail, encoding="utf-8")
        return
    assert printed == expected, f"call pytest {Path(__file__).relative_to(CHECKOUT)} --write-table"


@pytest.mark.parametrize(
    ("page", "figure"),
    [(page, line.strip()) for page, lines in QUOTED.items() for line in lines.split("\n") if line.strip()],
)
def test_figures_in_the_text_are_those_of_the_published_results(page: str, figure: str, tmp_path: Path) -> None:
    place, method, score, metric = figure.split()
    dataset, _, part = place.partition(":")
    found = results.gather(tmp_path, published_results(), dataset, method)
    summary = results.summarise([result for runs in found.values() for result in runs])
    if part.isdigit():
        (value,) = summary["tasks"][int(part)][score]
    else:
        value = summary["unshared"] if part else summary
        value = value["scores"][score][metric]["mean"]
    text = re.sub(r"^\|.*$", "", (CHECKOUT / page).read_text(encoding="utf-8"), flags=re.M)  # without tables
    assert f"{value:.3f}" in text, value


def test_version_in_changelog_and_citation() -> None:
    changelog, citation = ((CHECKOUT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "CITATION.cff"))
    assert f"\n## [{alad_tf.__version__}]\n" in changelog
    assert f"\nversion: {alad_tf.__version__}\n" in citation
