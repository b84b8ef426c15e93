"""The check of quotes agrees with the reader's rule, byte by byte, for any division into blocks."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from alad_tf.errors import DataError
from alad_tf.tabular import formats
from alad_tf.tabular.quotes import QuoteCheck

PATH = Path("rows.csv")


def check(content: bytes, sizes: list[int], delimiter: str = ",") -> str | None:
    """Message about a text that is passed in blocks of these sizes in turn; None: no message."""
    quotes, place, number = QuoteCheck(PATH, delimiter), 0, 0
    try:
        while place < len(content):
            size = sizes[number % len(sizes)]
            quotes.feed(content[place : place + size])
            place, number = place + size, number + 1
        quotes.feed(b"")
        quotes.feed(b"")  # the end may be asked for again
    except DataError as error:
        return str(error)
    return None


def by_the_rule(text: str) -> tuple[bool, bool, int]:
    """(quote open at the end, multi-line quoted cell followed by more text, line of the last opening quote)."""
    state, line, opened, swallowed = "start", 1, 0, False
    for letter in text:
        if state == "quoted":
            state = "closed" if letter == '"' else state
        elif letter == '"' and state in ("start", "closed"):
            opened = line if state == "start" else opened
            state = "quoted"
        elif letter in ",\r\n":
            state = "start"
        else:
            swallowed |= state == "closed" and line > opened
            state = "field"
        line += letter == "\n"
    return state == "quoted", swallowed, opened


def test_random_texts() -> None:
    outcomes = {True: 0, False: 0}
    for seed in range(6000):
        chance = random.Random(seed)
        text = "".join(chance.choice('""",\n\ra') for _ in range(chance.randrange(25)))
        opened, swallowed, line = by_the_rule(text)
        said = check(text.encode(), [chance.choice([1, 2, 3, 30]) for _ in range(4)])
        assert (said is not None) == (opened or swallowed), text
        if said and not swallowed:
            assert f"a quote on line {line}, which is open at the end of the file" in said, text
        outcomes[said is not None] += 1
    assert min(outcomes.values()) > 1000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a,b\n1,"x\n2,y\n', "on line 2, which is open at the end"),
        ('\ufeff"a\n1\n', "on line 1, which is open at the end"),
        ('a,b\n1,x\n1,"x\n2,"y"\n3,z\n', "on line 3, which is closed on line 4 before more text"),
        ('a,b\n1,"x""\n2,y\n', "on line 2, which is open at the end"),
    ],
)
def test_place_is_named(text: str, words: str) -> None:
    for sizes in ([5], [1000], [1] if text[0] == "a" else [4]):  # a byte order mark comes whole
        said = check(text.encode(), sizes)
        assert said and words in said and "rows.csv" in said and "\n" not in said


@pytest.mark.parametrize(
    "text", ["", "a", '5" pipe,"a"\n6" pipe,"b"\n', '"a"" b",""\n', '"x\r\ny",1\n', "a\tb\n", '"a"b,c']
)
def test_sound_texts(text: str) -> None:
    assert all(check(text.encode(), sizes) is None for sizes in ([1], [3], [1000]))


def test_delimiter() -> None:
    assert check(b'a\t"b\n', [9], "\t") and not check(b'a\t"b\n', [9], ",")


def test_long_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    said = check(b'a\n"' + b"x" * formats.BLOCK_BYTES * 2, [formats.BLOCK_BYTES])
    assert said and re.search(r"on line 2, which makes a cell longer than \d+ bytes", said)
