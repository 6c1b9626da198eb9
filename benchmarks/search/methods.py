"""Every method of the comparison: which environment it runs in, whose version counts, and where its adapter is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import cast

from clock import Method
from problem import Problem


@dataclass(frozen=True, slots=True)
class Home:
    """Where a method lives: a key of environments.PEERS ("" for the project's own), a package, a module beside this."""

    environment: str
    package: str
    adapter: str


OURS = Home("", "tuner", "ours")

PEERS = {
    "optuna-tpe": Home("", "optuna", "optuna_alone"),
    "optuna-gp": Home("", "optuna", "optuna_alone"),
    "optuna-tpe+sha": Home("", "optuna", "optuna_alone"),
    "optuna-tpe+hyperband": Home("", "optuna", "optuna_alone"),
    "ray-optuna+asha": Home("", "ray", "ray_pair"),
    "syne-tune-bohb": Home("syne-tune", "syne-tune", "syne_tune_methods"),
    "syne-tune-asha-cqr": Home("syne-tune", "syne-tune", "syne_tune_methods"),
    "smac-multi-fidelity": Home("smac", "smac", "smac_methods"),
    "neps-priorband": Home("neps", "neural-pipeline-search", "neps_methods"),
    "neps-priorband+bo": Home("neps", "neural-pipeline-search", "neps_methods"),
    "dehb": Home("dehb", "dehb", "dehb_alone"),
}


def home(name: str) -> Home:
    """The home of a method; any name that is not a peer's is one of ours, [scheduler+]sampler."""
    return PEERS.get(name, OURS)


def make(name: str, problem: Problem, seed: int, budget: int) -> tuple[Method, str]:
    """A new study by the method, and its package's version. `budget`, in units, is known to those that can use it."""
    place = home(name)
    adapter = cast("Callable[[str, Problem, int, int], Method]", import_module(place.adapter).make)
    return adapter(name, problem, seed, budget), version(place.package)
