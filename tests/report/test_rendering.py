"""Tables as text, Markdown and CSV, compared with hand-written ones and read back with pandas."""

from __future__ import annotations

import io

import pandas as pd

from alad_tf.report.rendering import FORMATS, Figure, Heading, Table, mark

TABLE = Table(
    "T",
    ["Model", "Runs", "F1", "paper", "diff.", "Average precision"],
    [
        [Heading("One, all [2]", data_set="One", rows="all")],
        [f"  A, b{mark(1)}", "2 runs", Figure("0.5±0.1", 0.51234567, 0.1), Figure("0.4", 0.4), Figure("+0.1", 0.1)]
        + [Figure("0.3", 0.3)],
        ["  C", "not run", Figure("not run"), Figure("0.7", 0.7), Figure("-"), Figure("not run")],
        [Heading("Two", data_set="Two", rows="some")],
        ["  C", "1 run", Figure("1.0", 1.0), Figure("-"), Figure("-"), Figure("0.2", 0.2)],
    ],
    ['[1] Said of "A".', "[2] Said of One.", "Said of all."],
)


def test_headings_span_and_footnotes_follow() -> None:
    table = Table("T", ["a", "b"], [["a long heading"], ["  x", "1"]], ["note"])
    assert table.as_text() == "T\n\na    b\n---  -\na long heading\n  x  1\n\nnote\n"
    assert table.as_markdown() == (
        "**T**\n\n| a | b |\n| --- | --- |\n| **a long heading** |  |\n| x | 1 |\n\n* note\n"
    )
    assert Table("T", ["a"], []).as_text() == "T\n\na\n-\n"


def test_csv_line_by_line() -> None:
    assert TABLE.as_csv().splitlines() == [
        "data_set,rows,model,runs,f1,f1_std,f1_paper,f1_paper_std,f1_diff,average_precision,average_precision_std,notes",
        'One,all,"A, b",2 runs,0.512346,0.1,0.4,,0.1,0.3,,"Said of One. Said of ""A""."',
        "One,all,C,not run,,,0.7,,,,,Said of One.",
        "Two,some,C,1 run,1.0,,,,,0.2,,",
    ]
    assert TABLE.remarks == ["Said of all."]


def test_csv_as_pandas_reads_it() -> None:
    frame = pd.read_csv(io.StringIO(TABLE.as_csv()))
    assert len(frame) == 3 and frame["f1"].dtype == frame["f1_paper"].dtype == float
    assert frame.set_index(["data_set", "model"]).loc[("One", "C"), "f1_paper"] == 0.7
    assert frame["f1"].isna().tolist() == [False, True, False]


def test_csv_without_deviations_headings_or_rows() -> None:
    table = Table("T", ["Data set", "AnoGAN, ms", "paper"], [["One", Figure("2", 2.0), Figure("3", 3.0)]])
    table.deviations = False
    assert table.as_csv() == "data_set,anogan_ms,anogan_ms_paper,notes\nOne,2.0,3.0,\n"
    assert Table("T", ["Model"], []).as_csv() == "model,notes\n"


def test_every_form_is_rendered() -> None:
    assert {form: TABLE.render(form) for form in FORMATS} == {
        "text": TABLE.as_text(),
        "markdown": TABLE.as_markdown(),
        "csv": TABLE.as_csv(),
    }
