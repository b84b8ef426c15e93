"""One-line errors, naming the file, for what Arrow, NumPy and the archive modules raise for damaged files."""

from __future__ import annotations

import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from alad_tf.errors import DataError, quoted, shown
from alad_tf.tabular.formats import BLOCK_BYTES

_OF_LONG_LINE = "straddling object"  # in Arrow's message


def is_of_long_line(error: pa.ArrowInvalid) -> bool:
    """Whether a line of text did not fit in a block."""
    return _OF_LONG_LINE in str(error)


@contextmanager
def reported(path: Path, names: list[str] | None = None, header: bool = True) -> Iterator[None]:
    """Convert exceptions that libraries raise while reading `path` to a DataError of one line.

    Args:
        path: the file.
        names: column names, for messages.
        header: whether the first row holds the names.

    Raises:
        DataError: the file is missing, truncated, damaged, too large for memory or in another format.
    """
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"Expected a file of rows. Received: {path}, which does not exist.") from error
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise DataError(f"Expected a complete file. Received: {path}, cut or damaged: {shown(error)}") from error
    except MemoryError as error:
        raise DataError(f"Expected rows that fit in memory. Received: {path}. Train on a part of them.") from error
    except (pa.ArrowException, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise DataError(_explained(path, str(error), names, header)) from error


def _explained(path: Path, message: str, names: list[str] | None, header: bool) -> str:
    """Explain a message of Arrow or NumPy, whose exceptions have no attributes for row and column."""
    cell = re.search(r"In CSV column #(\d+):(?: Row #(\d+):)? CSV conversion error to (\w+): (.*)", message, re.S)
    if cell and names:
        column, row = names[int(cell[1])], f", row {int(cell[2]) - header}" if cell[2] else ""
        if "UTF8" in cell[4]:
            return f"Expected text in UTF-8 in {path}. Received: other bytes in column {quoted(column)}{row}."
        value = cell[4].replace("invalid value ", "")
        return f"Expected a number in column {quoted(column)}{row} of {path}. Received: {shown(value)}"
    width = re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", message)
    if width:
        place = f"row {int(width[1]) - header}" if width[1] else "each row"
        first = "its header" if header else "its first row"
        return f"Expected {width[2]} columns in {place} of {path}, as in {first}. Received: {width[3]}."
    if _OF_LONG_LINE in message:
        return f"Expected lines of at most {BLOCK_BYTES} bytes in {path}. Received: a longer one. Is a quote left open?"
    if "pickle" in message or "Python objects" in message:
        return f"Expected an array of numbers in {path}. Received: pickled objects, never loaded, or another format."
    return f"Expected rows in {path}, as its name says. Received: a damaged file or another format: {shown(message)}"
