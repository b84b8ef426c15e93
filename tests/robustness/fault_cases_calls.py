"""Cases of wrong command lines."""

from __future__ import annotations

from faults import Arguments, Scene, fault

CALLS = "Command line"


def wrong_call(arguments: str, says: str, title: str, code: int = 2) -> None:
    @fault(CALLS, says, code, name=title)
    def call(scene: Scene) -> Arguments:
        return arguments.split()


wrong_call("trian kdd99", "Expected a command: .*Received: 'trian'", "unknown command")
wrong_call("reproduce mnist", "for DATASET. Received: 'mnist'", "unknown data set")
wrong_call("reproduce kdd99 --method GAN", "for --method. Received: 'GAN'", "unknown method")
wrong_call(
    "reproduce toy --epochs 1.5",
    "Expected a whole number of at least 1 for --epochs. Received: '1.5'",
    "epochs that are no whole number",
)
wrong_call(
    "reproduce toy --seed -1",
    "Expected a whole number from 0 to 4294967295 for --seed. Received: '-1'",
    "negative seed",
)
wrong_call(
    "reproduce toy --seed 4294967295 --runs 2",
    r"Expected seeds below 2\*\*32. Received: 4294967296 for the last run.",
    "last seed too large",
    code=1,
)
wrong_call(
    "fit train.csv --model m --learning-rate nan",
    "Expected a number above 0 for --learning-rate. Received: 'nan'",
    "learning rate that is no number",
)
wrong_call(
    "fit train.csv --model m --contamination 0.9",
    "Expected a fraction above 0 and at most 0.5 for --contamination. Received: '0.9'",
    "contamination over one half",
)
wrong_call("fit train.csv", "Expected --model DIR. Received: none", "no place for the model")
wrong_call(
    "score new.csv --model m --output s.csv --fast",
    "Expected an option of alad score: .*Received: --fast",
    "unknown option",
)
wrong_call(
    "reproduce kdd99 --training-half released",
    "Received: 'released'. Only arrhythmia has both",
    "option of another data set",
    1,
)
wrong_call("table 9", "Received: 9", "table that is not there", 1)
wrong_call(
    "fit train.csv --model m --label kind",
    "Expected both --label COL and --normal VALUE",
    "option without its other half",
    1,
)
