"""Malformed files of rows in every format, for `fuzz_readers.py`."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any, Callable

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
from workbooks import with_shared_texts

from alad_tf.columns.schema import Kind
from alad_tf.tabular import readers

Chance = random.Random
Read = Callable[[], object]

NUMBERS = [0, 1, -1, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), -0.0, 0.5, True]
VALUES: list[Any] = [*NUMBERS, None, "", "x", "é\0\ud800", "../../etc/passwd", [], {}, [[]], {"": None}, "9" * 5000]


def read_all(path: Path, chance: Chance, kinds: dict[str, Kind] | None = None) -> None:
    """Read a file whole, in chunks, and with its cells unchanged, as for --id."""
    kinds = kinds or {}
    readers.read(path, kinds=kinds)
    rows = chance.choice([1, 3, 1000])
    list(readers.chunks(path, rows, kinds=kinds))
    for table, _ in readers.tables(path, rows, only=readers.columns(path), kinds={}):
        for column in table.columns:
            column.to_numpy()


# Text -------------------------------------------------------------------------------------------------------------


def csv_file(folder: Path, chance: Chance) -> Read:
    """A text table, compressed or not."""
    suffix = chance.choice([".csv", ".tsv", ".csv.gz"])
    path = folder / f"rows{suffix}"
    content = text(chance, "\t" if suffix == ".tsv" else ",")
    content = mutated(content, chance) if chance.random() < 0.5 else content
    content = gzip.compress(content, mtime=0) if suffix == ".csv.gz" else content
    path.write_bytes(mutated(content, chance) if chance.random() < 0.3 else content)
    kinds: dict[str, Kind] = {"a": "number"} if chance.random() < 0.3 else {}
    return lambda: read_all(path, chance, kinds)


def text(chance: Chance, delimiter: str) -> bytes:
    """A text table, sometimes with odd cells, lines of another length or another encoding."""
    odd = ["", "NA", "inf", "1e999", '"', "x" * chance.choice([1, 70_000]), "\r", "a", "1,2", "ü", "0x10", "-", "\0"]
    cells = [[name for name in "abcd"]] + [[str(chance.random()) for _ in "abcd"] for _ in range(chance.choice([0, 5]))]
    for _ in range(chance.choice([0, 0, 1, 2])):
        line = chance.choice(cells)
        if line:
            line[chance.randrange(len(line))] = chance.choice(odd)
        if chance.random() < 0.3:
            line.append("7") if chance.random() < 0.5 else line.clear()
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])).writerows(cells)
    return file.getvalue().encode(chance.choice([*["utf-8"] * 5, "utf-8-sig", "utf-16", "latin-1"]), "replace")


def json_file(folder: Path, chance: Chance) -> Read:
    """JSON Lines with odd values, keys and lines, compressed or not."""
    path = folder / f"rows{chance.choice(['.jsonl', '.jsonl', '.jsonl.gz'])}"
    rows: list[Any] = [{"a": k + 0.5, "b": k, "c": "xyz"[k % 3], "d": None} for k in range(chance.choice([0, 1, 6]))]
    for _ in range(chance.choice([0, 1, 1, 2]) if rows else 0):
        place = chance.randrange(len(rows))
        rows[place] = changed(rows[place], chance)
    lines = [json.dumps(row, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass") for row in rows]
    for _ in range(chance.choice([0, 0, 1])):
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(_LINES))
    content = chance.choice([b"\n", b"\n", b"\r\n", b"\r", b"\n\n"]).join(lines)
    content = mutated(content, chance) if chance.random() < 0.3 else content
    content = content.decode("utf-8", "replace").encode("utf-16") if chance.random() < 0.05 else content
    content = gzip.compress(content, mtime=0) if path.suffix == ".gz" else content
    path.write_bytes(mutated(content, chance) if chance.random() < 0.2 else content)
    return lambda: read_all(path, chance)


_LINES = [
    b"",
    b"[]",
    b"1",
    b"null",
    b"{}",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
    b'{"a": 1, "a": "x"}',
    b'{"": 1}',
    b'{"a": NaN, "b": -Infinity, "c": 1e999}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": "\\ud800", "\\u0000": 1}',
    b'{"a": 1} {"a": 2}',
    b'\xef\xbb\xbf{"a": 1}',
]


# Excel ------------------------------------------------------------------------------------------------------------


def excel_file(folder: Path, chance: Chance) -> Read:
    """A workbook whose cells, XML or archive have a mutation."""
    path, file = folder / "rows.xlsx", io.BytesIO()
    workbook = openpyxl.Workbook()
    for sheet in [workbook.active, *([workbook.create_sheet("other")] if chance.random() < 0.2 else [])]:
        for row in _excel_rows(chance):
            sheet.append(row)
    workbook.save(file)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if chance.random() < 0.5:
        members = {name: _with_numbers(content) for name, content in with_shared_texts(members, *"abcxyz").items()}
    for _ in range(chance.choice([0, 1, 1, 2])):
        name = chance.choice([*members, *(name for name in members if "sheet" in name or "workbook" in name)])
        content = chance.choice([mutated, _changed_xml, _changed_xml])(members[name], chance)
        members[name] = content
        if chance.random() < 0.05:
            del members[name]
    content = zipped(members, chance)
    path.write_bytes(mutated(content, chance) if chance.random() < 0.1 else content)
    return lambda: read_all(path, chance)


def _excel_rows(chance: Chance) -> list[list[object]]:
    rows: list[list[object]] = [["a", "b", "c"], *([k + 0.5, k, "xyz"[k % 3]] for k in range(chance.choice([0, 5])))]
    odd = [
        None,
        True,
        datetime(1899, 12, 31),
        datetime(9999, 1, 1, 1),
        "=1/0",
        "=A1",
        "#N/A",
        "",
        "a",
        1e308,
        "9" * 400,
    ]
    for _ in range(chance.choice([0, 0, 1, 2])):
        row = chance.choice(rows)
        row[chance.randrange(len(row))] = chance.choice(odd)
        if chance.random() < 0.3:
            row.append(7)
    return rows


def _with_numbers(content: bytes) -> bytes:
    """XML with the numbers of shared texts in place of the texts a, b, c, x, y and z."""
    for number, text in enumerate("abcxyz"):
        inline = f't="inlineStr"><is><t>{text}</t></is>'
        content = content.replace(inline.encode(), f't="s"><v>{number}</v>'.encode())
    return content


def _changed_xml(content: bytes, chance: Chance) -> bytes:
    """XML with the value of one attribute or the text of one element replaced, or with one part taken out."""
    marks = [place for place, byte in enumerate(content) if byte in b'">']
    if len(marks) < 2:
        return content
    place = chance.randrange(len(marks) - 1)
    first, last = marks[place] + 1, marks[place + 1]
    if content[last - 1 : last] == b"<" or chance.random() < 0.2:
        return content[:first] + content[last:]
    odd = [
        b"",
        b"-1",
        b"0",
        b"99999999999",
        b"1e999",
        b"nan",
        b"XFD1048577",
        b"A0",
        b"1A",
        b"s",
        b"d",
        b"b",
        b"e",
        b"x",
    ]
    odd += [b"&#0;", b"&lt;", b"&a;", b"\xff", b"2024-13-45T99:00:00", b"inlineStr", b"str", b"../../x", b"9" * 5000]
    return content[:first] + chance.choice(odd) + content[last:]


# Arrow ------------------------------------------------------------------------------------------------------------


def parquet_file(folder: Path, chance: Chance) -> Read:
    """A mutated Parquet file, compressed or not, in one batch or several."""
    path, table = folder / "rows.parquet", _table(chance)
    rows_of_batch = chance.choice([7, 1000])
    compression = chance.choice(["none", "snappy", "zstd"])
    pyarrow.parquet.write_table(table, path, row_group_size=rows_of_batch, compression=compression)
    path.write_bytes(_other_numbers(path.read_bytes(), chance))
    return lambda: read_all(path, chance)


def feather_file(folder: Path, chance: Chance) -> Read:
    """A mutated Feather file, compressed or not, in one batch or several."""
    path, table = folder / "rows.feather", _table(chance)
    if "c" in table.column_names and chance.random() < 0.3:
        place = table.column_names.index("c")
        table = table.set_column(place, "c", table.column("c").dictionary_encode())
    rows_of_batch = chance.choice([7, 1000])
    compression = chance.choice(["uncompressed", "lz4", "zstd"])
    pyarrow.feather.write_feather(table, path, chunksize=rows_of_batch, compression=compression)
    path.write_bytes(_other_numbers(path.read_bytes(), chance))
    return lambda: read_all(path, chance)


def _table(chance: Chance) -> pa.Table:
    count = chance.choice([1, 20, 300])
    columns: dict[str, object] = {
        "a": [chance.choice([0.5, None, float("nan")]) for _ in range(count)],
        "b": list(range(count)),
        "c": [chance.choice(["x", "yy", "\u00fc" * 30, "", None]) for _ in range(count)],
        "d": [[1, 2]] * count,
        "e": pa.array(range(count), pa.timestamp("us")),
        "f": [k % 2 == 0 for k in range(count)],
    }
    return pa.table({name: columns[name] for name in chance.sample("abcdef", chance.choice([1, 2, 3, 3, 3, 4]))})


def _other_numbers(content: bytes, chance: Chance) -> bytes:
    """Bytes with other numbers of the format: lengths, offsets, counts."""
    for _ in range(chance.choice([0, 1, 1, 2, 8])):
        place, size = chance.randrange(len(content)), chance.choice([1, 2, 4, 8])
        number = chance.choice([0, 1, 0x7F, 0xFF, 1 << 31, (1 << 63) - 1, 1 << 41]) % (1 << 8 * size)
        content = content[:place] + number.to_bytes(size, "little") + content[place + size :]
    return mutated(content, chance) if chance.random() < 0.2 else content


# NumPy ------------------------------------------------------------------------------------------------------------


def numpy_file(folder: Path, chance: Chance) -> Read:
    """An array, in an archive or not."""
    path = folder / f"rows{chance.choice(['.npy', '.npz'])}"
    content = array(chance)
    if path.suffix == ".npz":
        content = zipped({chance.choice(["x.npy", "../x.npy", "/x", "y.npy"]): content}, chance)
    path.write_bytes(mutated(content, chance) if chance.random() < 0.3 else content)
    return lambda: read_all(path, chance)


def array(chance: Chance) -> bytes:
    """An array in NumPy's format, with a valid or an invalid header."""
    file = io.BytesIO()
    kind = chance.choice(["<f8", "<f4", ">f8", "<i2", "?", "<c8", "<U3", "O", "M8[s]", "a:<f8,b:<i2"])
    shape = chance.choice([(5, 3), (0, 3), (3, 0), (7,), (), (2, 2, 2)])
    values = np.zeros(shape, kind.replace("a:", "").replace("b:", "")) if kind != "O" else np.full(shape, None, object)
    np.lib.format.write_array(file, values, allow_pickle=True)
    content = file.getvalue()
    if chance.random() < 0.5:
        large = chance.choice(
            [b"(5, 999999999999)", b"(999999999, 3)", b"(-5, 3)", b"(0, 9999999999)", b"(1" + b",1" * 99]
        )
        header = content[10:].split(b"\n")[0] + b"\n"
        changed = header.replace(str(shape).encode(), large)
        content = content[:8] + len(changed).to_bytes(2, "little") + changed + content[10 + len(header) :]
    return content


def zipped(members: dict[str, bytes], chance: Chance) -> bytes:
    """A zip archive, with some compression method."""
    file = io.BytesIO()
    way = chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(file, "w", way) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


# Documents --------------------------------------------------------------------------------------------------------


def changed(document: Any, chance: Chance) -> Any:
    """A document with one place changed."""
    if not isinstance(document, (dict, list)) or not document or chance.random() < 0.1:
        return chance.choice(VALUES)
    document = document.copy()
    key = chance.choice(sorted(document) if isinstance(document, dict) else range(len(document)))
    action = chance.random()
    if action < 0.1:
        del document[key]
    elif action < 0.2 and isinstance(document, dict):
        document[chance.choice(["extra", "__class__", "networks", "architecture"])] = chance.choice(VALUES)
    elif action < 0.2:
        document.append(document[key])
    else:
        document[key] = changed(document[key], chance)
    return document


# Bytes ------------------------------------------------------------------------------------------------------------


def mutated(content: bytes, chance: Chance) -> bytes:
    """Bytes with up to three changes: flipped bit, truncation, insertion, repetition, appended bomb."""
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(content) + 1)
        content = chance.choice([_flipped, _cut, _with_more, _doubled])(content, place, chance)
    return content


def _flipped(content: bytes, place: int, chance: Chance) -> bytes:
    if place == len(content):
        return content
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def _cut(content: bytes, place: int, chance: Chance) -> bytes:
    return content[:place]


def _with_more(content: bytes, place: int, chance: Chance) -> bytes:
    more = [
        b"\0",
        b"\xff",
        b"\n",
        b'"',
        b",",
        b"\r\n\r\n",
        b"<html>",
        b"\xef\xbb\xbf",
        b"\x1f\x8b",
        b"PK\3\4",
        b"9" * 400,
    ]
    return content[:place] + chance.choice(more) + content[place:]


def _doubled(content: bytes, place: int, chance: Chance) -> bytes:
    times = chance.choice([1, 50])
    return content[:place] + content[place // 2 : place] * (times if place < 1 << 20 else 1) + content[place:]
