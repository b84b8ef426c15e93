"""A malformed Parquet file, as bytes."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet


def contradicting() -> bytes:
    """A column is required in the schema, and its statistics count levels of an optional one: one byte is another.

    pyarrow ends the process when it is asked for the column of such a footer.
    """
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"c": ["x", "yy"] * 10}), file, compression="none")
    optional, required = b"\x15\x0c\x25\x02\x18\x01c", b"\x15\x0c\x25\x00\x18\x01c"
    assert file.getvalue().count(optional) == 1
    return file.getvalue().replace(optional, required)
