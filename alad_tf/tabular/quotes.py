"""Check of quotes in CSV and TSV text while it is read.

An unclosed quote swallows everything up to the next quote, including line ends. Arrow's reader accepts this, and the
rows in between are lost. This check follows the rules of the reader (a quote opens a cell only at its beginning, and
two quotes in a quoted cell mean one) and refuses text that ends in an open quote, and a quoted cell that spans lines
and is not followed by a delimiter or a line end.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alad_tf.errors import DataError
from alad_tf.tabular.formats import BLOCK_BYTES

_QUOTE, _LINE_END = ord('"'), b"\n"


class QuoteCheck:
    """Tracks the quotes of a text that is fed in blocks.

    Args:
        path: file of the text, for messages.
        delimiter: separator of cells.
    """

    def __init__(self, path: Path, delimiter: str) -> None:
        self._path = path
        self._ends_cell = np.zeros(256, bool)
        self._ends_cell[[*b"\r\n", ord(delimiter)]] = True
        self._text = b""  # the last byte that was processed, and the one after it
        self._quoted = False  # whether the last processed byte is inside an open quote
        self._closed = False  # whether it is a closing quote; another quote would reopen the cell
        self._line = 1  # its line
        self._opened = 0  # line of the opening quote

    def feed(self, block: bytes) -> None:
        """Process a block of the text; an empty block is its end.

        Raises:
            DataError: a quote is left open; the message names its line.
        """
        if not self._text:
            self._text, block = _LINE_END, block.removeprefix(b"\xef\xbb\xbf")
        text = self._text + (block or _LINE_END)
        places = 1 + np.flatnonzero(np.frombuffer(text, np.uint8)[1:-1] == _QUOTE)
        if len(text) > 2 and not self._regular(text, places):
            self._follow(text, places)
        self._line += text.count(_LINE_END, 1, len(text) - 1)
        self._text = text[-2:]
        if self._quoted and not block:
            self._refuse("which is open at the end of the file")
        if self._quoted and not len(places) and len(block) >= BLOCK_BYTES:
            self._refuse(f"which makes a cell longer than {BLOCK_BYTES} bytes")

    def _regular(self, text: bytes, places: np.ndarray) -> bool:
        """Process quotes that all open at the beginning of a cell and close at its end; return whether they do."""
        codes = np.frombuffer(text, np.uint8)
        opening, closing = places[int(self._quoted) :: 2], places[int(not self._quoted) :: 2]
        before, after = codes[opening - 1], codes[closing + 1]
        again = before == _QUOTE
        if len(again) and again[0] and opening[0] == 1 and not self._closed:
            return False
        if not (self._ends_cell[before] | again).all() or not (self._ends_cell[after] | (after == _QUOTE)).all():
            return False
        self._quoted ^= bool(len(places) % 2)
        self._closed = len(closing) > 0 and closing[-1] == len(text) - 2
        first = opening[~again]
        if len(first):
            self._opened = self._line + text.count(_LINE_END, 1, first[-1])
        return True

    def _follow(self, text: bytes, places: np.ndarray) -> None:
        """Process arbitrary quotes one by one."""
        closed = 0 if self._closed else -1  # position of the last closing quote
        line, counted = self._line, 1
        for place in places.tolist():
            if self._quoted:
                self._quoted, closed = False, place
                after = text[place + 1]
                if after != _QUOTE and not self._ends_cell[after]:
                    line, counted = line + text.count(_LINE_END, counted, place), place
                    if line > self._opened:
                        self._refuse(f"which is closed on line {line} before more text")
            elif closed == place - 1 or self._ends_cell[text[place - 1]]:
                self._quoted = True
                if closed != place - 1:
                    line, counted = line + text.count(_LINE_END, counted, place), place
                    self._opened = line
        self._closed = closed == len(text) - 2

    def _refuse(self, what: str) -> None:
        raise DataError(
            f"Expected each quote in {self._path} to be closed in its cell. Received: a quote on line {self._opened}, "
            f"{what}. Close it, or write a quote that is part of the text twice, in a quoted cell."
        )
