"""Check of a GPU: whether TensorFlow finds it, its losses compared with the CPU, and training steps per second.

    python benchmarks/gpu.py --json gpu.json
    python benchmarks/gpu.py --device cpu --datasets toy --together 2      # tries the script without a GPU

Each line is a separate process: the first steps and then an epoch of KDD99, and of class 0 of CIFAR-10 if its images
are available. A GPU has two lines, with its default multiplication (TF32 since Ampere) and with float32. Losses are
means over the first steps, compared with those of the CPU for the same initial weights, row order, z and dropout. The
epoch is timed. Then ten seeds of KDD99 are trained in parallel, and PyTorch takes the same step if it is installed.
Everything is compiled before it is timed.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import yardstick

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    import numpy as np

COMPARED = 20  # first steps only, because training amplifies rounding differences
DATASETS = ("kdd99", "cifar10", "toy")
Answer = TypeVar("Answer")
_barrier: Barrier | None = None  # for processes that start training at the same time


@dataclass(frozen=True)
class Job:
    """The first steps and an epoch of a data set on a device.

    `steps` replaces the number of steps of the epoch; `tf32`: the GPU's default precision.
    """

    dataset: str
    device: str
    seed: int = 0
    steps: int | None = None
    tf32: bool = False

    @property
    def what(self) -> str:
        """Name in the report."""
        return f"{self.dataset}, {self.device}{' as by default' if self.tf32 else ''}"


def found(device: str) -> list[str]:
    """Names of the devices of this kind found by TensorFlow."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices(device.upper())
    return [tf.config.experimental.get_device_details(one).get("device_name", one.name) for one in devices]


def built_for() -> str:
    """Versions of CUDA and cuDNN that TensorFlow was built for."""
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    return ", ".join(f"{part} {build.get(f'{part}_version', 'none')}" for part in ("cuda", "cudnn"))


def prepare(device: str, barrier: Barrier | None = None) -> None:
    """Restrict this process to one kind of device, with GPU memory allocated on demand."""
    import tensorflow as tf

    global _barrier
    _barrier = barrier
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    for gpu in tf.config.get_visible_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def rows_of(dataset: str) -> np.ndarray:
    """Training rows of a data set."""
    from alad_tf.data import loading

    if dataset == "kdd99":
        return yardstick.kdd99()[0].x_train
    return loading.load(dataset, normal_class=0 if dataset == "cifar10" else None).x_train


def trained(job: Job) -> dict[str, Any]:
    """Train as `alad reproduce` does.

    Returns:
        losses: name -> mean over the first steps; start, end: time of the following steps, in seconds of a clock shared
        by all processes; steps: their number.
    """
    import tensorflow as tf

    from alad_tf.experiments import models
    from alad_tf.experiments.settings import Settings

    tf.config.experimental.enable_tensor_float_32_execution(job.tf32)
    normal_class: dict[str, Any] = {"normal_class": 0} if job.dataset == "cifar10" else {}
    settings = Settings.of_protocol(job.dataset, **normal_class)
    trainer = models.build(settings, job.seed, rows_of(job.dataset)).trainer
    assert trainer is not None
    losses = trainer.train(COMPARED)
    steps = trainer.steps_per_epoch if job.steps is None else job.steps
    if _barrier is not None:
        _barrier.wait()
    start = time.monotonic()
    trainer.train(steps)
    return {"losses": losses, "steps": steps, "start": start, "end": time.monotonic()}


def in_processes(jobs: list[Job]) -> list[dict[str, Any]]:
    """`trained` for jobs on one device, each in a separate process; all start training at the same time."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(jobs))
    with ProcessPoolExecutor(len(jobs), context, prepare, (jobs[0].device, barrier)) as pool:
        return list(pool.map(trained, jobs))


def rate(results: list[dict[str, Any]]) -> float:
    """Steps per second of all processes together, from the first start to the last end."""
    seconds = max(one["end"] for one in results) - min(one["start"] for one in results)
    return float(sum(one["steps"] for one in results)) / seconds


def difference(losses: dict[str, float], expected: dict[str, float]) -> float:
    """Largest difference of a loss, relative to the expected value."""
    return max(abs(losses[name] - expected[name]) / abs(expected[name]) for name in expected)


def pytorch_rate(dataset: str, device: str, steps: int) -> float | None:
    """Steps per second of the same step in PyTorch; None if it is not installed or finds no such device."""
    try:
        import torch
    except ImportError:
        return None
    if device == "gpu" and not torch.cuda.is_available():
        return None
    import pytorch_step

    from alad_tf.experiments.settings import Settings

    torch.set_default_device("cuda" if device == "gpu" else "cpu")
    trainer = pytorch_step.Trainer(Settings.of_protocol(dataset).table, rows_of(dataset))
    trainer.train(COMPARED)  # reads a loss at the end, which waits for the device
    return steps / yardstick.time_of(lambda: trainer.train(steps))


def measured(dataset: str, device: str) -> list[yardstick.Row]:
    """Lines of a data set: the CPU and the device."""
    job = Job(dataset, device)
    of_cpu = replace(job, device="cpu", steps=COMPARED if dataset == "cifar10" else None)  # an epoch takes minutes
    (cpu,) = in_processes([of_cpu])
    lines = [{"what": of_cpu.what, "steps/s": rate([cpu]), "losses / CPU - 1": 0.0, "times the CPU": 1.0}]
    for one in [job, replace(job, tf32=True)] if device == "gpu" else [job]:
        (result,) = in_processes([one])
        lines.append(
            {
                "what": one.what if device == "gpu" else f"{one.what} again",
                "steps/s": rate([result]),
                "losses / CPU - 1": difference(result["losses"], cpu["losses"]),
                "times the CPU": rate([result]) / rate([cpu]),
            }
        )
    return lines


def together(dataset: str, device: str, count: int) -> yardstick.Row:
    """Line of several seeds of a data set in parallel."""
    results = in_processes([Job(dataset, device, seed, tf32=True) for seed in range(count)])
    return {"what": f"{dataset}, {device}, {count} seeds at once", "steps/s": rate(results)}


def beside(dataset: str, device: str) -> list[yardstick.Row]:
    """Line of PyTorch, if it is installed."""
    steps = _in_a_fresh_process(pytorch_rate, dataset, device, 500)
    return [] if steps is None else [{"what": f"{dataset}, {device}, PyTorch", "steps/s": steps}]


def at_hand() -> list[str]:
    """Data sets measured by default."""
    from alad_tf import paths

    images = paths.find_data("tensorflow_datasets")
    return ["kdd99", *(["cifar10"] if images and (images / "cifar10").exists() else [])]


def _in_a_fresh_process(call: Callable[..., Answer], *arguments: object) -> Answer:
    """Result of a call in a new process, so that this process does not import TensorFlow and hold GPU memory."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(call, *arguments).result()


def main() -> int:
    """Measure and print; 1 without such a device."""
    parser = yardstick.parser(__doc__)
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="default: %(default)s")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, help="default: kdd99, and cifar10 if it is at hand")
    parser.add_argument("--together", type=int, default=10, metavar="N", help="seeds at once (default: %(default)s)")
    options = parser.parse_args()

    devices, build = _in_a_fresh_process(found, options.device), _in_a_fresh_process(built_for)
    if not devices:
        print(
            f"Expected a {options.device.upper()} that TensorFlow sees. Received: none; TensorFlow is built for "
            f"{build}. Install it with pip install .[cuda] and ask nvidia-smi; --device cpu tries this script.",
            file=sys.stderr,
        )
        return 1
    lines: list[yardstick.Row] = []
    for dataset in options.datasets or at_hand():
        lines += measured(dataset, options.device)
    tabular = next((name for name in options.datasets or ["kdd99"] if name != "cifar10"), None)
    if tabular:
        lines += [together(tabular, options.device, options.together), *beside(tabular, options.device)]
    yardstick.publish(
        "Training on a GPU" if options.device == "gpu" else "Training on the CPU: no statement about GPUs",
        lines,
        options.json,
        devices=", ".join(devices),
        tensorflow_built_for=build,
        losses=f"means of the first {COMPARED} steps, the largest relative difference",
        cpu_threads=1,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
