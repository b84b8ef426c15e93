"""The dialect of a text file is detected from its content; options take precedence."""

from __future__ import annotations

import codecs
import gzip
import io
from pathlib import Path

import pandas as pd
import pytest

from alad_tf.errors import DataError, SettingsError
from alad_tf.tabular import dialects, encodings, readers
from alad_tf.tabular.dialects import Dialect
from alad_tf.tabular.fit import fit_file
from alad_tf.tabular.score import score_file

ROWS = pd.DataFrame({"größe": [1.5, -2.25, 1e-3], "Anzahl": [1, 20, 300], "Ort": ["Köln", "Bad, Ems", 'a;"b'] * 1})


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv"])
def test_every_way_of_writing_gives_the_same_rows(
    tmp_path: Path, sep: str, decimal: str, encoding: str, name: str
) -> None:
    if sep == decimal:
        return
    rows = ROWS.replace("Köln", "Köln €") if encoding == "cp1252" else ROWS
    path = written(tmp_path / name, rows.to_csv(index=False, sep=sep, decimal=decimal), encoding)
    found = readers.settle(path)
    assert (found.sep, found.decimal, found.header) == (sep, decimal, True)
    assert found.encoding == {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    pd.testing.assert_frame_equal(readers.read(path), rows)
    pd.testing.assert_frame_equal(pd.concat(readers.chunks(path, 2, dialect=found)), rows)


def test_packed_text_is_looked_at_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(ROWS.to_csv(index=False, sep=";", decimal=",").encode("latin-1")))
    pd.testing.assert_frame_equal(readers.read(path), ROWS)


def test_what_is_given_wins(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", "a;b\n1,5;é\n", "latin-1")
    assert readers.settle(path, Dialect(sep=",")).sep == ","
    assert readers.columns(path, readers.settle(path, Dialect(sep=","))) == ["a;b"]
    assert readers.settle(path, Dialect(encoding="CP1250")).encoding == "cp1250"
    assert readers.read(path, dialect=readers.settle(path, Dialect(decimal=".")))["a"].tolist() == ["1,5"]
    with pytest.raises(DataError, match="'utf-8'|UTF-8"):
        readers.read(path, kinds={"b": "text"}, dialect=readers.settle(path, Dialect(encoding="utf-8")))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Dialect(sep=";;"), "one character"),
        (Dialect(sep='"'), "one character"),
        (Dialect(decimal="x"), "decimal mark"),
        (Dialect(sep=",", decimal=","), "other than the decimal mark"),
        (Dialect(encoding="klingon"), "encoding that Python knows"),
        (Dialect(encoding="base64"), "encoding that Python knows"),
        (Dialect(sheet="one"), "fit the format .* --sheet"),
    ],
)
def test_what_may_not_be_given(tmp_path: Path, asked: Dialect, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        readers.settle(written(tmp_path / "rows.csv", "a,b\n1,2\n"), asked)


def test_parts_that_a_format_does_not_have(tmp_path: Path) -> None:
    ROWS.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(SettingsError, match="--no-header, --sep"):
        readers.settle(tmp_path / "rows.parquet", Dialect(sep=",", header=False))


def test_a_model_reads_new_files_as_its_training_file(tmp_path: Path) -> None:
    usual, names = Dialect(";", ",", "cp1250", True), ["a", "b"]
    same = written(tmp_path / "same.csv", "a;b\n1;x\n")
    assert readers.settle(same, usual=usual, expected=names).decimal == ","  # no number here says so
    other = written(tmp_path / "other.csv", "b,a\nŁ,1.5\n", "cp1250")
    found = readers.settle(other, usual=usual, expected=names)
    assert (found.sep, found.decimal, found.encoding) == (",", ".", "cp1250")
    utf8 = written(tmp_path / "utf8.csv", "a;b\n1,5;Ł\n")
    assert readers.settle(utf8, usual=usual, expected=names).encoding == "utf-8"
    plain = written(tmp_path / "plain.csv", "1;2\n3;4\n")
    assert readers.settle(plain, usual=Dialect(";", header=False)).header is False


@pytest.mark.parametrize(
    ("lines", "sep"),
    [
        (["a;b\n", "1,5;2,5\n", "3,5;4,5\n"], ";"),
        (["1,5;2,5\n", "3,5;4,5\n"], ";"),
        (["a,b\n", "x;y,1\n", "u;v,2\n"], ","),
        (["a\tb,c\n", "1\t2,5\n"], "\t"),
        (["a,b\n", "1,2\n", "3\n"], ","),
        (["a\n", "1\n"], ","),
        (["a|b\n", '"x|y"|1\n'], "|"),
        ([], ","),
    ],
)
def test_separators(lines: list[str], sep: str) -> None:
    assert dialects.separator(lines, ",") == sep


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["1,5"], ","),
        (["1,500"], "."),
        (["1,500", "2,25"], ","),
        (["1,5", "2.5"], "."),
        (["1.234", "2,5"], "."),
        (["1.234,5"], ","),
        (["0.234", "2,5"], "."),
        (["x,y", "3"], "."),
    ],
)
def test_decimal_marks(cells: list[str], mark: str) -> None:
    assert dialects.decimal_mark([cells]) == mark


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("1.234 987 2.500 1.234.567", "has cells like 1.234, which are read as decimal numbers"),
        ("1.234 9,5 2.500 3.750", ""),
        ("1.234 2.500 3.750", ""),
        ("1.234 987 2.500", ""),
        ("1.234 2.500 3.750 0.5 987", ""),
        ("1.234 2.500 3.750 12345", ""),
        ("1.234 2.500 3.750 x", ""),
    ],
)
def test_points_that_may_separate_thousands(tmp_path: Path, cells: str, said: str) -> None:
    """1.234 among whole numbers was read as 1.2 without a word."""
    path = written(tmp_path / "rows.csv", "".join(f"{cell};k\n" for cell in ["Umsatz", *cells.split()]))
    found = [line for line, warning in readers.remarks(path, readers.settle(path)) if warning]
    assert len(found) == bool(said) and all(f"column 'Umsatz' of rows.csv {said}" in line for line in found)


@pytest.mark.parametrize(
    "text", ["a\n1,5\n2,5\n", '"a"\n"1,5"\n"2,5"\n', "a;b\n1,5;0\n2,5;0\n", "a;b\n1,5;x,y\n2,5;z,u\n"]
)
def test_decimal_comma_that_is_given(tmp_path: Path, text: str) -> None:
    """It was dropped where the comma was taken for the separator."""
    path = written(tmp_path / "rows.csv", text)
    assert readers.read(path, dialect=readers.settle(path, Dialect(decimal=",")))["a"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("text", ["a,b\n1,2\n3,4\n", 'a,b\n"1,5","2,5"\n'])
@pytest.mark.parametrize("expected", [(), ("a", "b")])
def test_commas_cannot_be_both_marks(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    path = written(tmp_path / "rows.csv", text)
    with pytest.raises(
        DataError, match="rows.csv. Received: columns that commas separate, and a comma as decimal mark"
    ):
        readers.settle(path, Dialect(decimal=","), expected=expected)


def test_decimal_comma_of_a_file_without_a_header(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", "1,5\n2,5\n")
    dialect = readers.settle(path, Dialect(decimal=",", header=False))
    assert readers.read(path, dialect=dialect)["x0"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\n1.5 2\n2.5 3\n", "lines of 2 words each. Pass --sep ' ', or pass --sep , if"),
        ("  a   b c\n1.5  2 x\n", "lines of 3 words each. Replace runs of blanks by a separator, or"),
    ],
)
def test_columns_that_blanks_separate(tmp_path: Path, text: str, words: str) -> None:
    """They were one categorical column."""
    path = written(tmp_path / "rows.csv", text)
    with pytest.raises(DataError, match=f"Expected a separator of the columns of .*rows.csv. Received: {words}"):
        readers.settle(path)
    assert len(readers.columns(path, readers.settle(path, Dialect(sep=",")))) == 1


def test_blank_as_the_separator(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", "a b\n1.5 2\n2.5 3\n")
    assert readers.read(path, dialect=readers.settle(path, Dialect(sep=" ")))["a"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("text", ["full name\nAda\n", '"full name"\n"Ada Lovelace"\n', "a,b c\n1,x y\n", "a b\n"])
def test_blanks_in_cells(tmp_path: Path, text: str) -> None:
    assert readers.settle(written(tmp_path / "rows.csv", text)).sep == ","


def test_damaged_utf8_is_no_other_encoding() -> None:
    assert encodings.detect(io.BytesIO("Köln".encode() + b"\xff")) == "utf-8"
    assert encodings.detect(io.BytesIO("öö".encode()[:-1])) == "utf-8"
    assert encodings.detect(io.BytesIO(b"a" * (1 << 23) + b"\xe9")) == "latin-1"
    assert encodings.detect(io.BytesIO(b"\x81\x80")) == "latin-1"
    assert encodings.detect(io.BytesIO(codecs.BOM_UTF32_LE)) == "utf-32"


def test_bytes_that_are_not_in_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("a,b\n1,2\n".encode("utf-16")[:-1])
    with pytest.raises(DataError, match=r"text in utf-16 in .*rows.csv. Received: bytes that do not fit it: .*"):
        readers.read(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "ascii", "utf-8", "utf-7", "punycode", "idna"])
def test_an_encoding_that_does_not_fit(tmp_path: Path, encoding: str) -> None:
    """It was said to be a damaged file or another format."""
    path = tmp_path / "rows.csv"
    path.write_bytes("größe,b\n1,2\n3,4\n5".encode("latin-1"))
    with pytest.raises(DataError) as error:
        readers.read(path, dialect=readers.settle(path, Dialect(encoding=encoding)))
    assert "damaged" not in str(error.value), error.value


# Headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "data"),
    [
        (["5.1", "3.5", "setosa"], True),
        (["2020-01-02", "a", "b"], False),
        (["2020-01-02", "7"], True),
        (["0", "1", "2"], False),
        (["1", "2"], False),
        (["1", "1"], True),
        (["a", "b"], False),
        (["2019", "2020", "name"], True),
        (["1", "x", "y", "z", "110.4"], False),
        (["x", "y", "2020"], False),
        (["x.1", "y-3", "1.2.3"], False),
        ([], False),
    ],
)
def test_headers_that_look_like_data(names: list[str], data: bool) -> None:
    assert dialects.looks_like_data(names) == data


def test_no_header(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", "1.5,x\n2.5,y\nseven,z\n")
    dialect = readers.settle(path, Dialect(header=False))
    assert readers.columns(path, dialect) == ["x0", "x1"] and len(readers.read(path, dialect=dialect)) == 3
    with pytest.raises(DataError, match="column 'x0', row 3"):
        readers.read(path, dialect=dialect, kinds={"x0": "number"})
    (line,) = readers.remarks(path, dialect)
    assert "no header, columns x0, x1" in line[0]


def test_a_header_of_data_is_warned_of(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", "1.5,x\n2.5,y\n")
    assert [warning for _, warning in readers.remarks(path, readers.settle(path))] == [True]


def test_the_index_of_pandas_is_left_out_with_a_word(tmp_path: Path) -> None:
    ROWS[::-1].to_csv(tmp_path / "rows.csv")
    ROWS.to_excel(tmp_path / "rows.xlsx")
    for name in ("rows.csv", "rows.xlsx"):
        path = tmp_path / name
        assert readers.columns(path) == list(ROWS)
        (line,) = readers.remarks(path, readers.settle(path))
        assert line == (f"{name}: column 1 has no name and is left out as an index", False)
    assert readers.read(tmp_path / "rows.csv")["Ort"].tolist() == ROWS["Ort"].tolist()[::-1]
    path = written(tmp_path / "bad.csv", ",a,b\n0,1,x\n1,two,y\n")
    with pytest.raises(DataError, match="column 'a', row 2"):
        readers.read(path, kinds={"a": "number"})


def test_documents() -> None:
    dialect = Dialect(";", ",", "latin-1", False, "one")
    assert Dialect.from_document(dialect.to_document()) == dialect
    for document in ({}, None, {**dialect.to_document(), "sep": 3}, {**dialect.to_document(), "encoding": "x"}):
        with pytest.raises(DataError, match="the dialect of a model's training file"):
            Dialect.from_document(document)


def test_explanations_have_the_decimal_mark_of_the_file(tmp_path: Path) -> None:
    rows = [f"{k % 9},{k % 7 + 1};{'xy'[k % 2]};{k % 5}" for k in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["price;kind.of;count", *rows]) + "\n")
    fit_file(tmp_path / "rows.csv", tmp_path / "model", options={"epochs": 1, "random_state": 0})
    score_file(tmp_path / "rows.csv", tmp_path / "model", tmp_path / "scored.csv", explain=3)
    scored = pd.read_csv(tmp_path / "scored.csv", sep=";", dtype=str)
    of_price = scored["feature_1"] == "price"
    assert of_price.any() and (scored["value_1"] == scored["price"])[of_price].all()
    told = scored[[f"{what}_{k}" for what in ("value", "expected", "share") for k in (1, 2, 3)]]
    assert not told.stack().str.contains(".", regex=False).any()
    score_file(tmp_path / "rows.csv", tmp_path / "model", tmp_path / "scored.parquet", explain=1)
    assert pd.read_parquet(tmp_path / "scored.parquet")["value_1"].str.contains(".", regex=False).any()
