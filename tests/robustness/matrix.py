"""Run the numeric tests with the code paths of other processors, and print which passed.

    python tests/robustness/matrix.py                    # every combination, a few minutes each on one core
    python tests/robustness/matrix.py --only 1 5 -x      # some of them; further options go to pytest
    python tests/robustness/matrix.py --rows matrix.md   # keeps each row; a second call does what has not passed

Variables make OpenBLAS and oneDNN take the code of an older processor, or leave oneDNN out; products
are split over threads. Each changes the order of sums, and so their last digits, which `tolerances` allows for.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
COMBINATIONS: list[dict[str, str]] = [
    {},
    {"OPENBLAS_CORETYPE": "Haswell"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"TF_ENABLE_ONEDNN_OPTS": "0"},
    {"ALAD_TEST_THREADS": "2"},
    {"OPENBLAS_CORETYPE": "Haswell", "ONEDNN_MAX_CPU_ISA": "AVX2", "ALAD_TEST_THREADS": "2"},
    {"OPENBLAS_CORETYPE": "Haswell", "TF_ENABLE_ONEDNN_OPTS": "0", "ALAD_TEST_THREADS": "2"},
]
# Comparisons of numbers; not what is about processes, folders or words.
NUMERIC = [
    "model/test_losses.py",
    "model/test_scores.py",
    "model/test_networks.py",
    "model/test_pairs.py",
    "model/test_spectral_norm.py",
    "model/test_inference.py",
    "model/test_neighbours.py",
    "model/test_alad_trainer.py",
    "baselines/test_anogan.py",
    "baselines/test_classical.py",
    "baselines/test_dagmm.py",
    "baselines/test_dsebm.py",
    "columns/test_preprocessing.py",
    "estimator/test_explanations.py",
    "robustness/test_properties.py",
    "serving/test_batch.py",
    "serving/test_export.py",
    "test_metrics.py",
]


def run(variables: dict[str, str], options: list[str]) -> tuple[bool, str]:
    """Run the tests; return whether they passed, and pytest's closing line."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    files = [str(TESTS / name) for name in NUMERIC]
    done = subprocess.run(
        [*command, *files], cwd=TESTS.parent, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True
    )
    lines = done.stdout.splitlines() or [f"exit code {done.returncode}"]
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            print(line, flush=True)
    return done.returncode == 0, lines[-1]


def processor() -> str:
    """Model of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> int:
    """Print a row for each combination; exit with 0 if all passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = range(1, len(COMBINATIONS) + 1)
    parser.add_argument("--only", type=int, nargs="+", choices=numbers, default=list(numbers), metavar="NUMBER")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="append rows to FILE; leave out what passed there")
    arguments, options = parser.parse_known_args()
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)
    kept = arguments.rows.read_text().splitlines() if arguments.rows and arguments.rows.exists() else []
    all_passed = True
    for number in arguments.only:
        variables = COMBINATIONS[number - 1]
        name = " ".join(f"{key}={value}" for key, value in variables.items()) or "as it is, 1 thread"
        if any(row.startswith(f"| {number} | {name} | passed |") for row in kept):
            continue
        start = time.monotonic()
        passed, line = run(variables, options)
        row = f"| {number} | {name} | {'passed' if passed else 'FAILED'} | {line} |"
        all_passed = all_passed and passed
        print(f"{row} {time.monotonic() - start:.0f} s", flush=True)
        if arguments.rows:
            with arguments.rows.open("a") as file:
                file.write(f"{row}\n")
    return 0 if all_passed else 1


if __name__ == "__main__":
    sys.exit(main())
