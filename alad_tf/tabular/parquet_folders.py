"""Folders of Parquet files with the same columns, as written by Spark and pandas, read in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from alad_tf.errors import DataError, listed, quoted, shown
from alad_tf.tabular import arrow_files
from alad_tf.tabular.formats import Advance, format_of


def columns(folder: Path) -> list[str]:
    """Column names, which must be the same in all files."""
    first, *others = files(folder)
    names = arrow_files.parquet_columns(first)
    for path in others:
        found = arrow_files.parquet_columns(path)
        if sorted(found) != sorted(names):
            differing = listed(sorted({*found} ^ {*names}))
            raise DataError(f"Expected the columns of {first} in {path}. Received: a difference in {differing}.")
    return names


def tables(folder: Path, rows: int, wanted: list[str], report: Advance) -> Iterator[tuple[pa.Table, int]]:
    """Read the files one after the other; see `readers.tables`. The last table of a file may be shorter."""
    found = files(folder)
    schema = _schema(found, wanted)
    before = 0
    for number, path in enumerate(found):
        count = 0
        for table, first in arrow_files.parquet_tables(path, rows, wanted, _part(report, number, len(found))):
            count = first + len(table)
            yield table.select(wanted).cast(schema), before + first
        before += count


def _schema(paths: Sequence[Path], wanted: Sequence[str]) -> pa.Schema:
    """The types of columns, each the common type of all files.

    Raises:
        DataError: a column has types that have nothing in common, such as numbers and text.
    """
    common: dict[str, pa.DataType] = {}
    for path in paths:
        for name, kind in arrow_files.parquet_types(path, wanted).items():
            try:
                common[name] = _common(common.get(name, kind), kind)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise DataError(
                    f"Expected cells of one type in column {quoted(name)} of all files. Received: {shown(kind)} in "
                    f"{path}, and {shown(common[name])} before."
                ) from error
    return pa.schema([(name, common[name]) for name in wanted])


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """A type that has the cells of both. Raises pa.ArrowInvalid or pa.ArrowTypeError if there is none."""
    if one == other:
        return one
    plain = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (one, other)]
    schemas = [pa.schema([("cells", kind)]) for kind in plain]
    return pa.unify_schemas(schemas, promote_options="permissive").field("cells").type


def files(folder: Path) -> list[Path]:
    """The Parquet files of a folder, without hidden files and those whose name begins with _.

    Raises:
        DataError: there are none, or there are subfolders, whose names would be part of a partitioned table.
    """
    visible = [path for path in sorted(folder.iterdir()) if path.name[0] not in "._"]
    below = [path.name for path in visible if path.is_dir()]
    found = [path for path in visible if path.name.lower().endswith(".parquet") and not path.is_dir()]
    if below or not found:
        received = f"folders in it, {listed(below)}" if below else "none"
        raise DataError(f"Expected .parquet files in the folder {folder}. Received: {received}.")
    for path in found:
        format_of(path)
    return found


def _part(report: Advance, number: int, count: int) -> Advance:
    return lambda share: report((number + share) / count)
