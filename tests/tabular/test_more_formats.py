"""Excel files, JSON Lines and folders of Parquet files."""

from __future__ import annotations

import datetime
import json
import re
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather
from row_files import short
from workbooks import with_shared_texts

from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError
from alad_tf.tabular import readers
from alad_tf.tabular.dialects import Dialect


def refused(path: Path, dialect: Dialect | None = None) -> str:
    with pytest.raises(DataError) as error:
        readers.read(path, dialect=dialect)
    assert "\n" not in str(error.value)
    return str(error.value)


def workbook(path: Path, **sheets: Sequence[Sequence[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".xlsx", ".feather"])
def test_a_column_may_have_any_name(tmp_path: Path, suffix: str) -> None:
    """`DataFrame.assign` takes no column self."""
    path = tmp_path / f"rows{suffix}"
    frame = pd.DataFrame({"self": [1.5, 2.5], "cells": ["x", "y"]})
    if suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif suffix == ".feather":
        frame["self"] = frame["self"].astype("category")
        frame.to_feather(path)
    else:
        workbook(path, one=[["self", "cells"], [1.5, "x"], [2.5, "y"]])
    assert readers.read(path)["self"].astype(float).tolist() == [1.5, 2.5]


# Excel ------------------------------------------------------------------------------------------------------------


def test_cells_of_excel(tmp_path: Path) -> None:
    when = datetime.datetime(2020, 1, 2, 3, 4)
    rows: list[list[object]] = [
        ["n", "t", "b", "d"],
        [1, "x", True, when],
        [2.5, "NA", False, when],
        [None, "#N/A", True, when],
        [None],
    ]
    frame = readers.read(workbook(tmp_path / "rows.xlsx", one=rows))
    assert frame["n"].tolist()[:2] == [1.0, 2.5] and np.isnan(frame["n"][2]) and len(frame) == 3
    assert frame["t"][0] == "x" and frame["t"].isna().tolist() == [False, True, True]
    assert frame["b"].tolist() == [True, False, True] and frame["d"].tolist() == [when] * 3


def test_sheets(tmp_path: Path) -> None:
    path = workbook(tmp_path / "rows.xlsx", one=[["a"], [1]], two=[["b"], [2]])
    first = readers.settle(path)
    assert readers.columns(path, first) == ["a"]
    (line,) = readers.remarks(path, first)
    advice = "if you mean another, name it by --sheet or save it as a file of its own"
    assert line == (f"rows.xlsx: sheet 'one' is read, not two; {advice}", True)
    second = readers.settle(path, Dialect(sheet="two"))
    assert readers.read(path, dialect=second)["b"].tolist() == [2]
    assert "Expected the sheet 'three'" in refused(path, Dialect(sheet="three"))


def test_excel_without_a_header(tmp_path: Path) -> None:
    path = workbook(tmp_path / "rows.xlsx", one=[[1, "x"], [2, "y"]])
    assert "looks like data" in next(readers.remarks(path, readers.settle(path)))[0]
    frame = readers.read(path, dialect=readers.settle(path, Dialect(header=False)))
    assert list(frame.columns) == ["x0", "x1"] and frame["x1"].tolist() == ["x", "y"]


def test_excel_that_is_no_table(tmp_path: Path) -> None:
    assert "without cells" in refused(workbook(tmp_path / "empty.xlsx", one=[]))
    assert "2 columns in row 1" in refused(workbook(tmp_path / "long.xlsx", one=[["a", "b"], [1, 2, 3]]))
    whole = workbook(tmp_path / "rows.xlsx", one=[["a", "b"], *[[k, "x" * 20] for k in range(200)]]).read_bytes()
    for content in (b"", b"a,b\n1,2\n", whole[: len(whole) // 2]):
        (tmp_path / "cut.xlsx").write_bytes(content)
        assert "cut.xlsx" in refused(tmp_path / "cut.xlsx")


SHEET = "xl/worksheets/sheet1.xml"


def test_names_that_are_missing_values_elsewhere(tmp_path: Path) -> None:
    path = workbook(tmp_path / "rows.xlsx", one=[["NA", "b", "null"], [1, "NA", 2], ["NA", "x", 3]])
    assert readers.columns(path) == ["NA", "b", "null"]
    assert readers.read(path).isna().to_numpy().tolist() == [[False, True, False], [True, False, False]]
    assert "no name for column 2" in refused(workbook(tmp_path / "bad.xlsx", one=[["a", "#N/A", "c"], [1, 2, 3]]))


def test_formulas_without_values(tmp_path: Path) -> None:
    """Their columns were said to have no values."""
    path = workbook(tmp_path / "rows.xlsx", one=[["a", "b"], [1, 2], [3, "=A3+1"]])
    assert "Expected the values of formulas" in refused(path) and "none in cell 'B3'" in refused(path)
    with zipfile.ZipFile(path) as book:
        members = {name: book.read(name) for name in book.namelist()}
    sheet = members["xl/worksheets/sheet1.xml"].decode()
    old = re.search(r'<c r="B3".*?</c>', sheet)
    assert old
    for new, last in (("<v>4</v>", 4.0), ("<v></v>", np.nan)):
        kind = "" if "4" in new else ' t="str"'
        cell = f'<c r="B3"{kind}><f>A3+1</f>{new}</c>'
        with zipfile.ZipFile(path, "w") as changed:
            for name, content in members.items():
                changed.writestr(name, sheet.replace(old[0], cell) if name.endswith("sheet1.xml") else content)
        np.testing.assert_equal(readers.read(path)["b"].tolist(), [2.0, last])


def test_old_or_protected_workbook(tmp_path: Path) -> None:
    (tmp_path / "rows.xlsx").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    assert "an old .xls file, or one with a password. Save it in Excel" in refused(tmp_path / "rows.xlsx")


def test_last_row_of_errors_is_a_row(tmp_path: Path) -> None:
    path = workbook(tmp_path / "rows.xlsx", one=[["a", "b"], [1, "x"], ["#REF!", "#N/A"], [None, None]])
    assert readers.read(path).isna().all(axis=1).tolist() == [False, True]


def test_rows_of_a_sheet_in_another_order(tmp_path: Path) -> None:
    """openpyxl leaves out a row whose number is not above the last one."""
    rows = 2000
    zero = "<row r='0'><c r='A1'><v>1</v></c></row>"
    lines = [f"<row spans='1:1' r='{k}'><c r='A{k}'><v>{k}</v></c></row>" for k in range(1, rows)]
    whole = workbook(tmp_path / "whole.xlsx", one=[["a"]])
    for name, order in (("rows.xlsx", lines), ("bad.xlsx", [*lines, lines[5]]), ("zero.xlsx", [zero, *lines])):
        with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(tmp_path / name, "w") as changed:
            for member in archive.namelist():
                content = archive.read(member)
                if member.endswith("sheet1.xml"):
                    content = re.sub(
                        rb"<sheetData>.*</sheetData>", f"<sheetData>{''.join(order)}</sheetData>".encode(), content
                    )
                changed.writestr(member, content)
    assert readers.columns(tmp_path / "rows.xlsx") == ["1"]
    assert f"row 6 after row {rows - 1}" in refused(tmp_path / "bad.xlsx")
    assert "row 0 after row 0" in refused(tmp_path / "zero.xlsx")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('<row r="2">', '<row r="99999999999">', "more than 1048576 rows"),
        ('<row r="2">', '<row r = "1.0">', "row 1 after row 1"),
        ('<c r="A2" t="n">', '<c r="A2" t="s">', "text 7 of 2"),
        ('<c r="A2" t="n"><v>7</v>', '<c r="A2" t="s"><v>-1</v>', "text -1 of 2"),
        ('<c r="A2" t="n">', '<c r="C2" t="n">', "column 2 after column 3 in row 2"),
        ('<c r="A2" t="n">', '<c r="B2" t="n">', "column 2 after column 2 in row 2"),
        ("</sheetData>", "", "ParseError"),
        ("<worksheet", '<!DOCTYPE x [<!ENTITY e "7">]><worksheet', "document type definition"),
        ("<v>7</v>", "<v>seven</v>", "seven"),
        ('<c r="A2" t="n">', '<c r="AAAA2" t="n">', "not a valid column name"),
    ],
    ids=short,
)
def test_sheets_that_excel_does_not_write(tmp_path: Path, old: str, new: str, words: str) -> None:
    whole = workbook(tmp_path / "whole.xlsx", one=[["a", "b"], [7, "x"]])
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert old.encode() in members[SHEET]
    members[SHEET] = members[SHEET].replace(old.encode(), new.encode())
    with zipfile.ZipFile(tmp_path / "rows.xlsx", "w") as changed:
        for name, content in with_shared_texts(members, "one", "two").items():
            changed.writestr(name, content)
    assert words in refused(tmp_path / "rows.xlsx")


# JSON Lines -------------------------------------------------------------------------------------------------------


def test_objects_may_lack_keys(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": "x"}, {}, {"b": None, "a": 2.5, "c": True}]
    (tmp_path / "rows.ndjson").write_text("\n\n".join(map(json.dumps, rows)))
    frame = readers.read(tmp_path / "rows.ndjson")
    assert list(frame.columns) == ["a", "b", "c"] and frame["a"].tolist()[::2] == [1.0, 2.5]
    assert frame.isna().sum().tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1}\n{"a": 2\n', "JSON on line 2"),
        ('{"a": 1}\n[2]\n', "an object on line 2"),
        ('{"a": 1}\n{"a": {}}\n', "column 'a', row 2 an object"),
        ('{"a": []}\n', "column 'a', row 1 a list"),
        ("{}\n", "no key"),
        ("[" * 100_000, "JSON on line 1"),
        ('{"a": "\xff"}\n', "JSON on line 1"),
    ],
    ids=short,
)
def test_lines_that_are_no_rows(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text, encoding="latin-1")
    message = refused(tmp_path / "rows.jsonl")
    assert all(word in message for word in words.split()) and "rows.jsonl" in message


def test_a_long_name_is_cut_in_messages(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(f'{{"d{"9" * 3000}": [1]}}\n')
    assert "column 'd999" in (message := refused(tmp_path / "rows.jsonl")) and len(message) < 1000


def test_a_key_that_comes_late(tmp_path: Path) -> None:
    """Columns are determined from the first 4 MiB."""
    line = '{"a": 1' + " " * 991 + "}\n"
    (tmp_path / "rows.jsonl").write_text(line * 6000 + '{"b": 1}\n')
    with pytest.raises(DataError, match="in row 6001. Received: 'b'"):
        for _ in readers.chunks(tmp_path / "rows.jsonl", 1000):
            pass


def test_cells_that_the_file_does_not_hold_are_bounded(tmp_path: Path) -> None:
    """2000 rows of 2000 columns, of which one cell is there: 96 MB from a file of 38 kB."""
    rows = [{f"c{k}": 1} for k in range(2000)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert "at most 200 times its size" in refused(tmp_path / "rows.jsonl")


def test_whole_numbers_of_any_length(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(f'{{"a": 1}}\n{{"a": {10**25}}}\n{{"a": -{10**400}}}\n')
    frame = readers.read(tmp_path / "rows.jsonl")
    columns = Columns.infer(frame)
    assert columns.numeric == ("a",)
    assert columns.scoring_rows(frame)[0]["a"].tolist() == [1.0, 1e25, -np.inf]


def test_decimal_numbers_are_numbers(tmp_path: Path) -> None:
    table = pa.table({"price": [Decimal("1.50"), None], "wide": pa.array([Decimal("2.5")] * 2, pa.decimal256(70, 3))})
    for path, write in {"rows.parquet": pq.write_table, "rows.feather": feather.write_feather}.items():
        write(table, tmp_path / path)
        frame = readers.read(tmp_path / path)
        assert frame["price"].tolist()[0] == 1.5 and np.isnan(frame["price"][1]) and frame["wide"].tolist() == [2.5] * 2
        assert Columns.infer(frame).numeric == ("price", "wide")


# Folders ----------------------------------------------------------------------------------------------------------


def test_folder_of_parquet(tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": np.arange(7.0), "b": list("uvwxyzz")})
    rows[:3].to_parquet(tmp_path / "part-0.parquet")
    rows.loc[3:, ["b", "a"]].to_parquet(tmp_path / "part-1.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".part.crc").write_text("")
    pd.testing.assert_frame_equal(readers.read(tmp_path), rows)
    parts = list(readers.chunks(tmp_path, 2))
    assert pd.concat(parts).index.tolist() == list(range(7)) and max(map(len, parts)) == 2
    shares: list[float] = []
    readers.read(tmp_path, advance=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_folders_that_are_no_table(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "0.parquet")
    pd.DataFrame({"b": [1]}).to_parquet(tmp_path / "1.parquet")
    assert "1.parquet" in refused(tmp_path) and "a, b" in refused(tmp_path)
    (tmp_path / "year=2020").mkdir()
    assert "folders in it, year=2020" in refused(tmp_path)


# As they are ------------------------------------------------------------------------------------------------------


def test_tables_keep_what_is_written(tmp_path: Path) -> None:
    """In text files, tables keep every cell as written; the frame has numbers and missing cells."""
    (tmp_path / "rows.csv").write_text("a;b\n007;NA\n 1,50;x\n;\n")
    ((table, frame),) = readers.tables(tmp_path / "rows.csv", 9, only=["b", "a"], kinds={"a": "number", "b": "text"})
    assert table.to_pydict() == {"b": ["NA", "x", ""], "a": ["007", " 1,50", ""]}
    assert frame["a"].tolist()[:2] == [7.0, 1.5] and frame.isna().sum().tolist() == [1, 2]
    (tmp_path / "bad.csv").write_text("a;b\n1,5;1\n2;2\n3.5;3\n")
    dialect = readers.settle(tmp_path / "bad.csv", Dialect(decimal=","))
    with pytest.raises(DataError, match="column 'a', row 3 of .*'3.5'"):
        list(readers.tables(tmp_path / "bad.csv", 1, only=[], kinds={"a": "number"}, dialect=dialect))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".feather", ".xlsx"])
def test_tables_of_other_formats(tmp_path: Path, suffix: str) -> None:
    path, rows = tmp_path / f"rows{suffix}", pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
    if suffix == ".jsonl":
        rows.to_json(path, orient="records", lines=True)
    else:
        getattr(rows, {".parquet": "to_parquet", ".feather": "to_feather", ".xlsx": "to_excel"}[suffix])(path)
    parts = list(readers.tables(path, 2, only=["b", "a"], kinds={"a": "number"}))
    together = [cell for table, _ in parts for cell in table.to_pydict()["a"]]
    typed = suffix in (".parquet", ".feather")
    assert [str(cell) for cell in together] == ["1", "2", "3"] and isinstance(together[0], int) == typed
    assert [cell for table, _ in parts for cell in table.to_pydict()["b"]] == ["x", None, "z"]
    assert pd.concat(frame for _, frame in parts)["a"].tolist() == [1, 2, 3]
