"""`alad fit` and `alad score` on files as spreadsheet programs write them, such as German ones."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import run

from alad_tf.errors import SettingsError
from alad_tf.io import atomic, locks
from alad_tf.tabular import readers
from alad_tf.tabular.dialects import Dialect
from alad_tf.tabular.model import Model, trained_on
from alad_tf.tabular.standard_input import STANDARD_INPUT, local

pytestmark = pytest.mark.minutes(1)

GERMAN = {"sep": ";", "decimal": ",", "encoding": "latin-1"}


def rows(count: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    size = random.normal(0.0, 1.0, count)
    when = pd.date_range("2020-01-01", periods=count, freq="7h")
    return pd.DataFrame(
        {
            "Größe": size,
            "Gewicht": 2 * size + 1,
            "Farbe": random.choice(["rot", "grün"], count),
            "Tag": when.strftime("%d.%m.%Y %H:%M"),
            "ok": random.choice(["true", "false"], count),
            "Notiz": [f"{k}; {k}" for k in range(count)],
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("german")
    rows(120).to_csv(folder / "train.csv", **GERMAN)
    arguments = ["--model", folder / "model", "--drop", "Notiz", "--epochs", 1, "--seed", 3]
    assert run("fit", folder / "train.csv", *arguments) == 0
    new = rows(30, seed=1)
    new.loc[4, "Größe"] = np.nan
    new.to_csv(folder / "new.csv", **GERMAN)
    return folder


def score(trained: Path, source: Path, output: Path, *options: object) -> None:
    assert run("score", source, "--model", trained / "model", "--output", output, *options) == 0


def test_how_the_file_was_read_is_kept(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    columns, dialect = trained_on(trained / "model")
    assert dialect == Dialect(";", ",", "latin-1", True)
    assert columns.sources == ["Größe", "Gewicht", "Farbe", "ok", "Tag"]
    assert run("inspect", trained / "model") == 0
    assert "separated by semicolons, decimal commas, encoding latin-1" in capfd.readouterr().out


def test_the_table_comes_back_as_it_was(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    score(trained, trained / "new.csv", tmp_path / "scored.csv")
    told = capfd.readouterr()
    assert "1 row has no score" in told.out
    assert "new.csv: column 1 has no name and is left out as an index" in told.err
    before = [line.split(";", 1)[1] for line in (trained / "new.csv").read_text(encoding="latin-1").splitlines()]
    after = (tmp_path / "scored.csv").read_text(encoding="utf-8").splitlines()
    assert after[0] == f"row;{before[0]};score;p_value;is_anomaly;is_valid;reason;unseen"
    assert all(line.startswith(f"{k};{text};") for k, (text, line) in enumerate(zip(before[1:], after[1:]), 1))
    assert after[5].endswith(";;;True;False;missing: Größe;")


def test_other_formats_have_the_same_scores(trained: Path, tmp_path: Path) -> None:
    score(trained, trained / "new.csv", tmp_path / "scored.csv", "--scores-only")
    expected = pd.read_csv(tmp_path / "scored.csv", sep=";", decimal=",")["score"].to_numpy(np.float32)
    table = pd.read_csv(trained / "new.csv", index_col=0, **GERMAN)
    typed = table.assign(Tag=pd.to_datetime(table["Tag"], format="%d.%m.%Y %H:%M"))
    typed.to_parquet(tmp_path / "new.parquet")
    typed.to_excel(tmp_path / "new.xlsx")
    table.to_json(tmp_path / "new.jsonl", orient="records", lines=True)
    table.to_csv(tmp_path / "new.csv")
    for name in ("new.parquet", "new.xlsx", "new.jsonl", "new.csv"):
        score(trained, tmp_path / name, tmp_path / f"{name}.feather", "--chunk-rows", 30)
        scored = pd.read_feather(tmp_path / f"{name}.feather")
        np.testing.assert_array_equal(scored["score"].to_numpy(), expected)
        assert scored["Notiz"].tolist() == table["Notiz"].tolist() and scored["Größe"].dtype == np.float64


def test_standard_input_and_output(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    score(trained, trained / "new.csv", tmp_path / "scored.csv", "--top", 3)
    capfd.readouterr()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((trained / "new.csv").read_bytes())))
    score(trained, Path("-"), Path("-"), "--top", 3)
    told = capfd.readouterr()
    assert told.out == (tmp_path / "scored.csv").read_text() and "30 rows" in told.err
    assert len(told.out.splitlines()) == 4
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert run("score", "-", "--model", trained / "model", "--output", "-") == 1
    assert "standard input" in capfd.readouterr().err


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf", b" \n", b"\xef\xbb\xbf\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_on_standard_input(monkeypatch: pytest.MonkeyPatch, begin: bytes, packed: bool) -> None:
    """They were read as delimited text if packed, or after a byte order mark or blanks."""
    content = begin + b'{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n'
    stream = io.BytesIO(gzip.compress(content) if packed else content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    with local(STANDARD_INPUT) as copy:
        assert readers.read(copy).to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


class Terminal(io.StringIO):
    """Standard input that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "words"), [(None, "a closed one"), (Terminal(), "a terminal")])
def test_standard_input_without_rows(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None, words: str) -> None:
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(SettingsError, match=f"Received: {words}. Pipe a file"), local(STANDARD_INPUT):
        pass


@pytest.mark.parametrize("end", [None, 15])
def test_packed_text_on_standard_input(monkeypatch: pytest.MonkeyPatch, end: int | None) -> None:
    stream = io.BytesIO(gzip.compress(b"a,b\n1,x\n")[:end])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    with local(STANDARD_INPUT) as copy:
        assert copy.name == "standard-input.csv.gz"


class Endless(io.RawIOBase):
    """The same bytes for ever; `given` counts them."""

    def __init__(self, content: bytes) -> None:
        self.content, self.given = content, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = (self.content * (len(buffer) // len(self.content) + 1))[: len(buffer)]
        self.given += len(buffer)
        return len(buffer)


@pytest.mark.parametrize(
    ("content", "most", "message"),
    [
        (b"\0", 5 << 20, "Expected a header of at most 4194304 bytes in standard input. Received: a longer first line"),
        (b"x", 5 << 20, "Expected a header of at most 4194304 bytes in standard input. Received: a longer first line"),
        (b"1,2\n", 40 << 20, "Expected at most 32 MiB on standard input, half of the free space for temporary files"),
        (b"PAR1", 40 << 20, "Expected at most 32 MiB on standard input"),
    ],
)
def test_standard_input_without_an_end(
    trained: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    most: int,
    message: str,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=64 << 20))
    stream = Endless(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(stream)))
    assert run("score", "-", "--model", trained / "model", "--output", tmp_path / "scored.csv") == 1
    *remarks, line = capfd.readouterr().err.splitlines()
    assert line.startswith(f"alad: error: {message}") and stream.given < most
    assert all(remark.startswith("standard-input.csv: ") for remark in remarks)


def test_copy_of_standard_input_of_a_killed_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a copy, of up to half of the free space, stayed for ever."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = (*(f".alad-standard-input.{atomic.MARK}{name}" for name in ("dead0000", "alive000")), "letters")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text("a,b\n1,2\n")
    alive = os.open(tmp_path / names[1], os.O_RDONLY)
    assert locks.try_lock(alive)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,2\n")))
    with local(STANDARD_INPUT) as copy:
        there = {path.name for path in tmp_path.iterdir()}
        assert copy.read_text() == "a,b\n1,2\n" and there == {*names[1:], copy.parent.name}
    os.close(alive)
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])


def test_the_model_takes_the_frame(trained: Path) -> None:
    frame = rows(30, seed=1)
    scored, unknown = Model.load(trained / "model").scored(frame.assign(ok=frame["ok"] == "true"))
    again, _ = Model.load(trained / "model").scored(frame)
    pd.testing.assert_frame_equal(scored, again)
    assert scored["is_valid"].all() and unknown == {}
