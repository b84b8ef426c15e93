"""`--strategy multi-worker`: roles of the processes, and training by two processes through the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import small_images
import steady_toy
from conftest import CHECKOUT
from reference import draw
from tolerances import of_training

from alad_tf.cli import main
from alad_tf.errors import SettingsError
from alad_tf.experiments import scheduler, workers
from alad_tf.experiments.settings import WRITTEN, Settings
from alad_tf.model import networks
from architectures import toy

HOSTS = ["one:2222", "two:2222"]


def place(cluster: object, kind: str = "worker", index: object = 0) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (place({"worker": HOSTS}), ("worker 0", True, 2)),
        (place({"worker": HOSTS}, index="1"), ("worker 1", False, 2)),
        (place({"chief": HOSTS[:1], "worker": HOSTS[1:]}), ("worker 0", False, 2)),
        (place({"chief": HOSTS[:1], "worker": HOSTS[1:]}, "chief"), ("chief 0", True, 2)),
    ],
)
def test_which_one_this_is(text: str, expected: tuple[str, bool, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert workers.this("multi-worker") == expected
    assert workers.this("mirrored") == workers.this(None) == ("", True, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "[]",
        "{}",
        place({"worker": HOSTS}, index=2),
        place({"worker": HOSTS}, index=-1),
        place({"worker": HOSTS}, "chief"),
        place({"worker": ["one"]}),
        place({"worker": [2222]}),
        place({"worker": []}),
        place(HOSTS),
        place({"worker": HOSTS, "ps": HOSTS}),
    ],
)
def test_what_is_no_place_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert main.main(["reproduce", "toy", "--strategy", "multi-worker", "--out", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("alad: error: Expected TF_CONFIG with strategy 'multi-worker', in every process")
    assert f'"index": 0}}}}. Received: {text or "none"}.\n' in captured.err
    assert not list(tmp_path.iterdir()) and not captured.out


def test_one_run_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", place({"worker": HOSTS}))
    with pytest.raises(SettingsError, match="Expected one run at a time with strategy 'multi-worker'.*--jobs 2"):
        scheduler.run_all(Settings.of_protocol("toy", strategy="multi-worker"), [0], tmp_path, jobs=2)


def test_others_write_elsewhere(tmp_path: Path) -> None:
    chief, other = workers.Worker("worker 0", True, 2), workers.Worker("worker 1", False, 2)
    assert [worker.log(tmp_path).name for worker in (chief, other)] == ["log.txt", "log.worker1.txt"]
    with chief.home(tmp_path) as home:
        assert home == tmp_path
    with (
        pytest.raises(SettingsError, match="Expected --out to be a folder that all processes share"),
        other.home(tmp_path),
    ):
        pass
    (tmp_path / "config.json").touch()
    with other.home(tmp_path) as home:
        assert home != tmp_path and home.is_dir()
    assert not home.exists()


# Through the command line -----------------------------------------------------------------------------------------

ALAD = "import sys; from alad_tf.experiments import progress; from alad_tf.cli import main; "
ALAD += "progress.FIRST_REPORT_SECONDS = 0.0; sys.exit(main.main())"


IMAGES = """
import sys
from pathlib import Path
import small_images
from alad_tf.experiments import run as experiment
with small_images.small():
    settings = small_images.settings(epochs=2, strategy="multi-worker")
    result = experiment.run(settings, 0, Path(sys.argv[1]), data_dir=Path(sys.argv[2]))
print(result["scores"]["features"]["auroc"], result["best"]["validation"])
"""


class Pair:
    """Two processes on this machine."""

    def __init__(self, out: Path) -> None:
        self.out, self.started = out, list[subprocess.Popen[str]]()
        with socket.socket() as one, socket.socket() as other:
            for found in (one, other):
                found.bind(("localhost", 0))
            self.cluster = {"worker": [f"localhost:{found.getsockname()[1]}" for found in (one, other)]}

    def start(self, *epochs: int) -> None:
        """Start both with their numbers of epochs."""
        self.started = [
            alad(self.out, number, "--strategy", "multi-worker", TF_CONFIG=text)
            for number, text in zip(epochs, self.places())
        ]

    def places(self) -> list[str]:
        """TF_CONFIG of each."""
        return [place(self.cluster, index=index) for index in range(2)]

    def wait_for_training(self) -> None:
        """Wait until worker 1 has done its first steps."""
        assert self.started[1].stderr is not None
        assert any("min left" in line for line in self.started[1].stderr), "it ended"

    def end(self) -> list[tuple[int, str, str]]:
        """Exit code, output and the last line of errors of each."""
        answers = [(*process.communicate(timeout=300), process.returncode) for process in self.started]
        return [(code, out, err.splitlines()[-1] if err else "") for out, err, code in answers]


def alad(out: Path, epochs: int, *options: str, **environment: str) -> subprocess.Popen[str]:
    arguments = ["reproduce", "toy", "--runs", "1", "--epochs", str(epochs), "--out", str(out), *options]
    return popen("-c", ALAD, *arguments, **environment)


def popen(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    found = Pair(tmp_path / "results")
    yield found
    for process in found.started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def losses(run_dir: Path) -> list[list[float]]:
    records = [json.loads(line) for line in (run_dir / "history.jsonl").read_text().splitlines()]
    return [[record["step"], record["loss_d"], record["loss_ge"]] for record in records]


@pytest.mark.slow
def test_two_processes_are_stopped_go_on_and_train_as_one(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop them by a signal to the worker that is not the chief; only the chief writes."""
    epochs, table = 100, steady_toy.TABLE
    monkeypatch.setenv("PYTHONPATH", steady_toy.take_its_place(tmp_path))
    monkeypatch.setattr(toy, "ALAD", table)
    alone = ["reproduce", "toy", "--no-jit", "--runs", "1", "--epochs", str(epochs), "--out", str(pair.out)]
    assert main.main(alone) == 0
    pair.start(epochs, epochs)
    pair.wait_for_training()
    pair.started[1].terminate()
    (chief, _, why), (other, _, _) = pair.end()
    assert (chief, other) == (1, 130) and "stopped at step" in why
    run_dir = pair.out / "toy" / f"ALAD-multi-worker-{epochs}epochs" / "seed0"
    checkpoint = max((run_dir / "checkpoints").iterdir(), key=lambda path: int(path.name[4:]))  # up to two are kept
    assert checkpoint.name in why.replace("step ", "step")
    began = json.loads((checkpoint / "log.json").read_text())["history"]
    pair.start(epochs, epochs)
    (chief, tables, _), (other, nothing, _) = pair.end()
    assert (chief, other) == (0, 0) and "Precision" in tables and not nothing
    expected, found = losses(pair.out / "toy" / f"ALAD-{epochs}epochs" / "seed0"), losses(run_dir)
    assert found[: len(began)] == [[record["step"], record["loss_d"], record["loss_ge"]] for record in began]
    assert len(found) == len(expected) == epochs
    built, x, z = networks.build(table, seed=0), draw(0, table.batch_size, 2), draw(1, table.batch_size, 2)
    for ours, theirs in zip(found[:3], expected):  # of two steps each
        _, loss = of_training(built, table, x, z, int(theirs[0]))
        assert ours == pytest.approx(theirs, rel=0.0, abs=loss)
        assert loss < 0.02 * theirs[1]
    files = {path.name for path in run_dir.iterdir()}
    assert files == {*WRITTEN, "log.txt", "log.worker1.txt"}


@pytest.mark.slow
def test_images_with_their_best_weights(pair: Pair, tmp_path: Path) -> None:
    """Each process has a state of batch norm: all processes read it together, so they score and save together."""
    small_images.prepare(tmp_path / "data")
    path = os.pathsep.join([str(CHECKOUT / "tests"), str(CHECKOUT)])
    pair.started = [
        popen("-c", IMAGES, str(pair.out), str(tmp_path / "data"), PYTHONPATH=path, TF_CONFIG=text)
        for text in pair.places()
    ]
    (chief, found, why), (other, same, _) = pair.end()
    assert (chief, other) == (0, 0), why
    assert found and same == found
    assert {path.name for path in pair.out.iterdir()} == set(WRITTEN)


@pytest.mark.slow
def test_the_other_ends_with_one_line(pair: Pair) -> None:
    pair.start(1000, 1000)
    pair.wait_for_training()
    os.killpg(pair.started[1].pid, signal.SIGKILL)
    code, out, why = pair.end()[0]
    assert code == 1 and not out
    assert why.startswith(
        "alad: error: seed 0: Expected all processes in TF_CONFIG to keep running. Received: UnavailableError"
    )
