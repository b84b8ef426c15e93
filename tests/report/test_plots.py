"""Curves as numbers and in the figure, which most tests do not draw; files as PNGs of the requested size."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from alad_tf.errors import DataError
from alad_tf.io import archives
from alad_tf.options import FIGURE_SUFFIXES, SCORES
from alad_tf.report import figure_files, plots
from alad_tf.report.paper import CLASS_NAMES

Drawn = dict[str, Any]  # Figures by file name; matplotlib annotates what they hold too widely


def write_run(folder: Path, seed: int, rows: int = 400, history: bool = True, scores: bool = True) -> Path:
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    y = (np.arange(rows) % 5 == 0).astype(np.uint8)
    if scores:
        values = {name: np.exp(2 * y + generator.normal(size=rows)).astype(np.float32) for name in SCORES}
        np.savez(folder / "scores.npz", y_test=y, **values)
    if history:
        lines = [{"epoch": epoch, "loss_d": 4 / epoch, "loss_ge": 3.0 + epoch} for epoch in (1, 2, 3)]
        lines[1]["f1"] = 0.5
        lines[2]["f1"] = 0.75
        (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def png_size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and content[12:16] == b"IHDR" and content[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Figures by file name, in place of files."""
    figures: Drawn = {}

    def keep(figure: Figure, path: Path) -> Path:
        figures[path.name] = figure
        return path

    monkeypatch.setattr(figure_files, "save", keep)
    return figures


def line(axes: Axes, label: str) -> Any:
    """The only line whose label starts with `label`."""
    (found,) = [one for one in axes.lines if str(one.get_label()).startswith(label)]
    return found


def test_roc_by_hand() -> None:
    # From the largest: anomaly; a tie of one anomaly and one normal; normal.
    x, y = plots.roc(np.array([1, 0, 1, 0]), np.array([9.0, 5.0, 5.0, 1.0]))
    assert x.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert y.tolist() == [0.0, 0.5, 1.0, 1.0]


def test_precision_recall_by_hand() -> None:
    recall, precision = plots.precision_recall(np.array([1, 0, 1, 0]), np.array([9.0, 5.0, 5.0, 1.0]))
    assert recall.tolist() == [0.5, 1.0, 1.0]
    assert precision == pytest.approx([1.0, 2 / 3, 0.5])


def test_curves_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 500)
    score = np.round(generator.normal(size=500) + y, 1)  # with ties
    false, true, _ = roc_curve(y, score, drop_intermediate=False)
    x, height = plots.roc(y, score)
    np.testing.assert_allclose([x, height], [false, true])
    expected_precision, expected_recall, _ = precision_recall_curve(y, score)
    recall, precision = plots.precision_recall(y, score)
    np.testing.assert_allclose([recall, precision], [expected_recall[-2::-1], expected_precision[-2::-1]])


def test_thin_keeps_ends_shape_and_limit() -> None:
    # A step of height 1 within 0.1 % of the width: even spacing in x alone would miss it.
    x = np.linspace(0.0, 1.0, 247_011)
    y = np.clip((x - 0.5) * 1000, 0.0, 1.0)
    thin_x, thin_y = plots.thin(x, y)
    assert 1000 <= len(thin_x) <= 2000
    assert (thin_x[0], thin_x[-1], thin_y[0], thin_y[-1]) == (0.0, 1.0, 0.0, 1.0)
    assert np.all(np.diff(thin_x) > 0)
    assert np.max(np.abs(np.diff(thin_y))) < 0.01
    assert np.interp(0.5005, thin_x, thin_y) == pytest.approx(0.5, abs=1e-3)


def test_thin_of_a_long_roc_keeps_its_area() -> None:
    generator = np.random.default_rng(0)
    y = (generator.random(50_000) < 0.2).astype(np.uint8)
    score = generator.normal(size=50_000) + 2 * y
    x, height = plots.roc(y, score)
    thin_x, thin_height = plots.thin(x, height)
    assert len(x) > 40_000 and len(thin_x) <= plots.CURVE_POINTS
    area = float(np.sum(np.diff(thin_x) * (thin_height[1:] + thin_height[:-1]) / 2))
    assert area == pytest.approx(roc_auc_score(y, score), abs=2e-4)


def test_thin_leaves_short_and_flat_curves() -> None:
    x, y = np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0])
    assert plots.thin(x, y)[0] is x
    flat_x, flat_y = plots.thin(np.linspace(0, 1, 100), np.ones(100), limit=10)
    assert len(flat_x) <= 10 and flat_x[-1] == 1.0 and set(flat_y) == {1.0}


def test_bin_edges_are_logarithmic_for_wide_scores_with_zeros() -> None:
    values = np.concatenate([np.zeros(50), np.geomspace(1e-2, 1e8, 1000)])
    edges, logarithmic = plots.bin_edges(values, bins=40)
    assert logarithmic and len(edges) == 41
    np.testing.assert_allclose(edges[1:] / edges[:-1], edges[1] / edges[0])
    assert edges[0] == pytest.approx(1e-2, rel=0.1) and edges[-1] == pytest.approx(1e8, rel=0.1)


@pytest.mark.parametrize(
    "values", [np.linspace(1.0, 50.0, 100), np.linspace(-1e4, 1e4, 100), np.zeros(30), np.full(30, 7.0)]
)
def test_bin_edges_are_linear_for_narrow_negative_or_equal_scores(values: np.ndarray) -> None:
    edges, logarithmic = plots.bin_edges(values)
    assert not logarithmic
    assert np.all(np.diff(edges) > 0)
    assert edges[0] <= np.median(values) <= edges[-1]


def test_run_figures_are_written(tmp_path: Path, drawn_figures: None) -> None:
    runs = [write_run(tmp_path / f"seed{seed}", seed) for seed in range(3)]
    paths = plots.save_run_figures(runs, tmp_path / "figures", "KDD99, ALAD", paper_mean=0.95)
    names = ["roc.png", "precision_recall.png", "scores.png", "losses.png", "f1.png"]
    assert paths == [tmp_path / "figures" / name for name in names]
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {Path(name).with_suffix(suffix).name for name in names for suffix in FIGURE_SUFFIXES}
    for path in paths:
        width, height = png_size(path)
        assert 500 < width < 1200 and 400 < height < 900
        assert 10_000 < path.stat().st_size < 200_000


def test_roc_figure_shows_the_mean_of_the_runs(tmp_path: Path, drawn: Drawn) -> None:
    runs = [write_run(tmp_path / f"seed{seed}", seed) for seed in range(2)]
    plots.save_run_figures(runs, tmp_path, "Title")
    axes = drawn["roc.png"].axes[0]
    features = line(axes, "features")
    stored = [archives.arrays(run / "scores.npz") for run in runs]
    curves = [roc_curve(one["y_test"], one["features"], drop_intermediate=False)[:2] for one in stored]
    # At false positive rates between those of the 320 normal rows each curve has one value.
    x, heights = features.get_data()
    between = np.abs(x * 320 - np.round(x * 320)) > 0.05
    expected = np.mean([np.interp(x, *curve) for curve in curves], axis=0)
    np.testing.assert_allclose(heights[between], expected[between], atol=1e-9)
    areas = [roc_auc_score(one["y_test"], one["features"]) for one in stored]
    assert features.get_label() == f"features  AUROC {np.mean(areas):.3f} ± {np.std(areas, ddof=1):.3f}"
    assert len(axes.collections) == 4  # a band for each score
    assert axes.get_title() == "Title" and axes.get_xlabel() == "False positive rate"
    assert "2 runs" in axes.get_legend().get_title().get_text()


def test_one_run_has_no_band_and_its_own_curve(tmp_path: Path, drawn: Drawn) -> None:
    run = write_run(tmp_path / "seed0", 0)
    plots.save_run_figures([run], tmp_path, "Title")
    stored = archives.arrays(run / "scores.npz")
    for name, curve in (("roc.png", plots.roc), ("precision_recall.png", plots.precision_recall)):
        axes = drawn[name].axes[0]
        assert not axes.collections
        np.testing.assert_array_equal(line(axes, "l2").get_data(), curve(stored["y_test"], stored["l2"]))


def test_histogram_counts_every_row_of_each_class(tmp_path: Path, drawn: Drawn) -> None:
    run = write_run(tmp_path / "seed0", 0)
    stored = archives.arrays(run / "scores.npz")
    stored["features"][:10] = [0.0] * 5 + [1e8] * 5
    np.savez(run / "scores.npz", **stored)
    plots.save_run_figures([run], tmp_path, "Title")
    features = drawn["scores.png"].axes[0]
    assert features.get_xscale() == "log"
    outlines = {patch.get_label(): patch for patch in features.patches}
    shares = {name: outlines[name].get_data().values for name in ("normal", "anomalous")}
    for share in shares.values():
        assert share.sum() == pytest.approx(1.0)
    # Rows 0 and 5 are anomalous: one zero and one huge score of 80, 4 of each among the 320 normal rows.
    assert shares["anomalous"][0] >= 1 / 80 and shares["normal"][0] >= 4 / 320
    assert shares["anomalous"][-1] >= 1 / 80 and shares["normal"][-1] >= 4 / 320


def test_histogram_shows_rare_rows_beside_a_crowded_bin(tmp_path: Path, drawn: Drawn) -> None:
    run = write_run(tmp_path / "seed0", 0)
    stored = archives.arrays(run / "scores.npz")
    stored["l1"][100:] = 3.0
    np.savez(run / "scores.npz", **stored)
    plots.save_run_figures([run], tmp_path, "Title")
    assert [axes.get_yscale() for axes in drawn["scores.png"].axes] == ["linear", "log", "linear", "linear"]


def test_courses_are_those_of_the_history(tmp_path: Path, drawn: Drawn) -> None:
    runs = [write_run(tmp_path / f"seed{seed}", seed) for seed in range(2)]
    plots.save_run_figures(runs, tmp_path, "Title", paper_mean=0.95)
    losses, f1 = drawn["losses.png"].axes[0], drawn["f1.png"].axes[0]
    assert len(losses.lines) == 4
    np.testing.assert_allclose(line(losses, "discriminators").get_data(), [[1.0, 2.0, 3.0], [4.0, 2.0, 4 / 3]])
    np.testing.assert_allclose(line(losses, "generator").get_data(), [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_allclose(line(f1, "ours").get_data(), [[2.0, 3.0], [0.5, 0.75]])
    assert list(line(f1, "paper").get_ydata()) == [0.95, 0.95]
    assert line(f1, "paper").get_linestyle() == "--"

    plots.save_run_figures(runs, tmp_path, "Title")
    assert len(drawn["f1.png"].axes[0].lines) == 2


def test_losses_of_one_epoch_are_averaged_and_wide_ones_are_logarithmic(tmp_path: Path, drawn: Drawn) -> None:
    run = write_run(tmp_path / "seed0", 0, history=False)
    lines = [(1, 1000.0), (1, 3000.0), (2, 1.0)]
    text = "".join(json.dumps({"epoch": epoch, "loss_d": loss}) + "\n" for epoch, loss in lines)
    (run / "history.jsonl").write_text(text)
    paths = plots.save_run_figures([run], tmp_path, "Title")
    assert [path.name for path in paths] == ["roc.png", "precision_recall.png", "scores.png", "losses.png"]
    axes = drawn["losses.png"].axes[0]
    np.testing.assert_allclose(line(axes, "discriminators").get_data(), [[1.0, 2.0], [2000.0, 1.0]])
    assert axes.get_yscale() == "log"


def test_runs_without_files_are_left_out(tmp_path: Path, drawn: Drawn) -> None:
    complete = write_run(tmp_path / "seed0", 0, history=False)
    no_scores = write_run(tmp_path / "seed1", 1, scores=False)
    paths = plots.save_run_figures([complete, no_scores, tmp_path / "seed2"], tmp_path / "figures", "Title")
    assert len(paths) == 5
    assert not drawn["roc.png"].axes[0].collections
    assert len(drawn["f1.png"].axes[0].lines) == 1
    assert plots.save_run_figures([no_scores], tmp_path / "none", "Title") == []
    assert plots.save_run_figures([], tmp_path / "none", "Title") == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "name, content",
    [
        ("scores.npz", b"PK\x03\x04 cut off"),
        ("scores.npz", b""),
        ("history.jsonl", b'{"epoch": 1, "loss'),
        ("history.jsonl", b'{"step": 1}\n'),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    run = write_run(tmp_path / "seed0", 0)
    (run / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        plots.save_run_figures([run], tmp_path / "figures", "Title")
    assert str(run / name) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"l1": np.ones(3)}, "l1 has shape (3,)"),
        ({"l2": np.full(400, np.nan)}, "l2 is not finite"),
        ({"y_test": np.zeros(400, np.uint8)}, "y_test"),
        ({"logits": None}, "logits"),
    ],
)
def test_unfit_scores_are_named(tmp_path: Path, changes: dict[str, np.ndarray], words: str) -> None:
    run = write_run(tmp_path / "seed0", 0)
    stored = {**archives.arrays(run / "scores.npz"), **changes}
    np.savez(run / "scores.npz", **{name: array for name, array in stored.items() if array is not None})
    with pytest.raises(DataError) as caught:
        plots.save_run_figures([run], tmp_path / "figures", "Title")
    assert str(run / "scores.npz") in str(caught.value) and words in str(caught.value)


def toy(rows: int = 200) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    y = (np.arange(rows) % 10 == 0).astype(np.uint8)
    scales = {"x_test": 1.0, "x_hat": 3.0, "z": 0.1}
    return {**{name: scale * generator.normal(size=(rows, 2)) for name, scale in scales.items()}, "y_test": y}


def test_toy_figure_shows_inputs_encodings_and_reconstructions(tmp_path: Path, drawn: Drawn) -> None:
    data = toy()
    path = plots.save_toy_figure(**data, path=tmp_path / "deep" / "toy.png")
    assert path == tmp_path / "deep" / "toy.png"
    figure = drawn["toy.png"]
    assert figure.get_figwidth() > 2 * figure.get_figheight()
    for axes, name in zip(figure.axes, ("x_test", "z", "x_hat")):
        normal, outlier = line(axes, "normal"), line(axes, "outlier")
        np.testing.assert_array_equal(np.transpose(normal.get_data()), data[name][data["y_test"] == 0])
        np.testing.assert_array_equal(np.transpose(outlier.get_data()), data[name][data["y_test"] == 1])
        assert (normal.get_marker(), outlier.get_marker()) == ("o", "x")
        assert axes.get_xlim()[1] > np.abs(data[name]).max()
    inputs, encodings, reconstructions = figure.axes
    assert inputs.get_xlim() == reconstructions.get_ylim() != encodings.get_xlim()


@pytest.mark.parametrize(
    "changes",
    [{"z": np.ones((200, 3))}, {"x_hat": np.ones((199, 2))}, {"y_test": np.ones((200, 1))}, {"y_test": np.ones(5)}],
)
def test_toy_figure_refuses_other_shapes(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match=r"\[n, 2\].*Received: \("):
        plots.save_toy_figure(**{**toy(), **changes}, path=tmp_path / "toy.png")
    assert not (tmp_path / "toy.png").exists()


def test_toy_figure_refuses_diverged_points(tmp_path: Path) -> None:
    data = toy()
    data["x_hat"][3, 1] = np.inf
    with pytest.raises(DataError, match="finite"):
        plots.save_toy_figure(**data, path=tmp_path / "toy.png")


def test_imports_and_figures_leave_others_alone(tmp_path: Path) -> None:
    """Imports load neither matplotlib nor TensorFlow; figures do not load pyplot with its global state."""
    write_run(tmp_path / "seed0", 0)
    code = f"""
import sys
from pathlib import Path
from alad_tf.report import comparison, figure_files, plots
print({{"matplotlib", "tensorflow"}} & set(sys.modules))
folder = Path({str(tmp_path)!r})
plots.save_class_bars({{"ALAD": {{0: [0.5]}}}}, folder / "bars.png", "", {{}}, ["cat"])
figure_files.save = lambda figure, path: path
print(len(plots.save_run_figures([folder / "seed0"], folder, "Title")), "matplotlib.pyplot" in sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == ["set()", "5 False"]


# Images


def test_class_bars(tmp_path: Path, drawn: Drawn) -> None:
    groups = {"ALAD": {0: [0.5, 0.7], 1: [0.4]}, "ALAD-noSN": {1: [0.8], 2: []}}
    means, names = {"ALAD": 0.5753, "ALAD-noSN": None}, ["airplane", "cat", "dog"]
    plots.save_class_bars(groups, tmp_path / "classes.png", "CIFAR-10", means, names)
    axes = drawn["classes.png"].axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == names
    bars = {container.get_label(): container for container in axes.containers if hasattr(container, "patches")}
    bars["ALAD"] = bars.pop("ALAD (paper's mean 0.575)")
    assert [bar.get_height() for bar in bars["ALAD"]] == pytest.approx([0.6, 0.4])
    assert [bar.get_height() for bar in bars["ALAD-noSN"]] == pytest.approx([0.8])
    centres = [bar.get_x() + bar.get_width() / 2 for name in ("ALAD", "ALAD-noSN") for bar in bars[name]]
    assert centres == pytest.approx([-0.2, 0.8, 1.2])  # of airplane, and of cat side by side
    crosses = [point for one in axes.lines if one.get_marker() == "x" for point in one.get_xdata()]
    assert crosses == pytest.approx([1.8, 0.2, 2.2])  # the runs that are missing
    assert [list(one.get_ydata()) for one in axes.lines if one.get_linestyle() == "--"] == [[0.5753, 0.5753]]
    assert not drawn["classes.png"].legends
    named = {text.get_text() for text in axes.get_legend().get_texts()}
    assert named == {"ALAD (paper's mean 0.575)", "ALAD-noSN", "chance", "no run yet"}


def test_legend_of_bars_stands_above_them(tmp_path: Path, drawn: Drawn) -> None:
    """All ten classes of six methods have results: no cross, and the legend does not cover the axis up to 1."""
    groups = {f"method {name}": {label: [1.0] for label in range(10)} for name in "abcdef"}
    means = dict.fromkeys(groups, 0.6)
    plots.save_class_bars(groups, tmp_path / "classes.png", "CIFAR-10", means, list(CLASS_NAMES["cifar10"]))
    axes = drawn["classes.png"].axes[0]
    drawn["classes.png"].draw_without_rendering()
    low = axes.get_legend().get_window_extent().y0
    assert low > axes.transData.transform((0.0, 1.0))[1]
    assert "no run yet" not in {text.get_text() for text in axes.get_legend().get_texts()}


def test_each_figure_is_there_as_png_pdf_and_svg(tmp_path: Path, drawn_figures: None) -> None:
    """Writing the same figure twice gives the same bytes."""
    for folder in ("one", "other"):
        plots.save_class_bars({"ALAD": {0: [0.5]}}, tmp_path / folder / "f.png", "SVHN", {}, CLASS_NAMES["svhn"])
    for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
        content = (tmp_path / "one" / f"f{suffix}").read_bytes()
        assert content.startswith(start) and content == (tmp_path / "other" / f"f{suffix}").read_bytes()
    assert len([*(tmp_path / "one").iterdir()]) == 3


def test_six_groups_of_bars_have_a_colour_each(tmp_path: Path, drawn: Drawn) -> None:
    groups = {name: {label: [0.5] for label in range(10)} for name in "abcdef"}
    plots.save_class_bars(groups, tmp_path / "six.png", "CIFAR-10", {}, CLASS_NAMES["cifar10"])
    bars = [container for container in drawn["six.png"].axes[0].containers if hasattr(container, "patches")]
    assert [bar.get_label() for bar in bars] == list("abcdef")
    assert len({bar.patches[0].get_facecolor() for bar in bars}) == 6
    assert drawn["six.png"].get_figwidth() <= 14  # inches: not wider than a page can show


def test_images_stand_over_their_reconstructions_with_their_scores(tmp_path: Path, drawn: Drawn) -> None:
    random = np.random.default_rng(0)
    shown: dict[str, Any] = {
        kind: (*(random.integers(0, 256, (count, 8, 8, 3), np.uint8) for _ in range(2)), np.arange(count) + 0.5)
        for kind, count in (("normal", 3), ("anomalous", 2))
    }
    plots.save_images_figure(shown, tmp_path / "images.png")
    axes = np.array(drawn["images.png"].axes).reshape(4, 3)
    for block, (images, reconstructions, scores) in enumerate(shown.values()):
        for column, score in enumerate(scores):
            above, below = axes[2 * block, column], axes[2 * block + 1, column]
            np.testing.assert_array_equal(above.images[0].get_array(), images[column])
            np.testing.assert_array_equal(below.images[0].get_array(), reconstructions[column])
            assert above.get_title() == f"{score:.4g}"
    assert not axes[2, 2].images and not axes[3, 2].images
    assert "anomalous, A(x)" in [text.get_text() for text in axes[2, 0].texts]
