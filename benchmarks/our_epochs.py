"""Our trainer in the hands of a benchmark: a trial without a study, and a run that is trained epoch by epoch."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import torch

from tuner.training import TrainerSettings, train
from tuner.training.backends import cpu_threads, gpu_arithmetic
from tuner.training.graph import make_stepper
from tuner.training.pace import Pace
from tuner.training.randomness import seeded
from tuner.training.ranks import ALONE
from tuner.training.run import Stretch, open_run
from tuner.training.trainer import train_step, train_stretch
from tuner.training.watchdog import Watchdog

HORIZON = 10**4


class BenchTrial:
    """What `train` is given: see tuner.objective.TrialHandle. Keeps reports, when they came, and the steps' losses."""

    number, start, unit, checkpoint = 0, 0, "epoch", None

    def __init__(self, until, *, device="cpu", gpus=None, seed=0, threads=1):
        self.until = self.horizon = until
        self.device, self.seed, self.threads = device, seed, threads
        self.gpus = (device == "cuda") if gpus is None else gpus
        self.folder = Path(tempfile.gettempdir())
        self.reports, self.stamps, self.losses = [], [], []

    def report(self, resource, /, *, checkpoint=None, **metrics):  # noqa: ARG002 - the protocol's
        self.reports.append(metrics)
        self.stamps.append(time.perf_counter())

    def attach(self, *, curves=None, events=()):  # noqa: ARG002 - as above
        self.losses += (curves or {}).get("loss", ())

    def pace(self, seconds):
        pass

    def abandon(self, reason):
        raise SystemExit(reason)


def trained(task, config, epochs, **options):
    """The trial after so many epochs of `train`."""
    trial = BenchTrial(epochs, **options)
    train(task, config, trial)
    return trial


class OurEpochs:
    """A run whose epochs are trained one at a time, so that contestants can take turns. Nothing is evaluated."""

    def __init__(self, task, config, *, device="cpu", measure=True, threads=1):
        self.trial = BenchTrial(HORIZON, device=device, threads=threads)
        self.tf32 = TrainerSettings.from_config(config).precision.precision == "tf32"
        with self._settings():
            self.run = open_run(task, config, self.trial, ALONE, measure=measure)
        self.step = make_stepper(self.run, train_step)
        self.pace = Pace(self.run, self.trial)
        self.done = 0

    def epoch(self):
        """Train one more; its samples a second, as a report has them."""
        n_steps = self.run.steps_per_epoch
        stretch = Stretch(self.done * n_steps, (self.done + 1) * n_steps, self.done + 1)
        with self._settings(), seeded(self.run.device, self.run.seed, "stretch", stretch.first):
            watchdog = Watchdog(None, self.trial.abandon)
            metrics = train_stretch(self.run, stretch, self.step, watchdog, self.pace)
        self.done += 1
        return metrics["samples_per_second"]

    def _settings(self):
        stack = ExitStack()
        stack.enter_context(cpu_threads(self.trial.threads))
        stack.enter_context(gpu_arithmetic(torch.device(self.trial.device), tf32=self.tf32, constant_shapes=True))
        return stack
