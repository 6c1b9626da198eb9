"""A trial without a study: what a Task or a function is given when a test calls it itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from tuner.spec import load_spec
from tuner.spec.study_spec import StudySpec

ROOT = Path(__file__).resolve().parents[1]


class HandTrial:
    """One segment, on one CPU thread; keeps what it is told. `reports` are metrics by resource."""

    number, device, threads, gpus, unit = 0, "cpu", 1, 0, "epoch"

    def __init__(self, until, *, start=0, horizon=None, seed=0, checkpoint=None, folder=None):
        self.start, self.until, self.horizon, self.seed = start, until, horizon or until, seed
        self.checkpoint, self.folder = checkpoint, folder or Path()
        self.reports: dict[int, dict[str, float]] = {}
        self.kept: Any = None

    def report(self, resource, /, *, checkpoint=None, **metrics):
        self.reports[resource] = metrics
        self.kept = checkpoint() if callable(checkpoint) else checkpoint

    def attach(self, *, curves=None, events=()):
        pass

    def pace(self, seconds):
        pass

    def abandon(self, reason) -> NoReturn:
        raise AssertionError(reason)

    @property
    def last(self) -> dict[str, float]:
        return self.reports[self.until]


def study_of(name: str) -> StudySpec:
    """The spec of search_spaces/`name`.yaml."""
    return load_spec(ROOT / "search_spaces" / f"{name}.yaml")


def first_config(spec: StudySpec) -> dict[str, Any]:
    """The configuration that the study tries first: the fixed values and the axes' priors."""
    return {**spec.fixed, **(spec.space.prior() or {})}


def trained(task, config, epochs, seed=0) -> dict[str, float]:
    """The last report of `task`, trained with `config` on its own."""
    from tuner.training import train  # loads torch, which plain functions do without

    trial = HandTrial(epochs, seed=seed)
    train(task, config, trial)
    return trial.last
