"""A table of the synthetic curves: known everywhere, made in milliseconds, with a study that it can answer for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from objectives.synthetic import expected_loss
from tuner.execution.simulated import CurveTable, TableInfo, curve_of_units
from tuner.records import Config
from tuner.search.sobol import SobolProposer
from tuner.seeds import derive_seed
from tuner.space import SearchSpace
from tuner.spec import StudySpec

MAX_RESOURCE = 9
NOISE = 0.01


def synthetic_spec(**changes: Any) -> StudySpec:
    """A study of three axes, whose curves take a second an epoch."""
    data = {
        "study": "synthetic",
        "objective": "objectives.synthetic:curves",
        "metric": {"name": "val_loss"},
        "space": {
            "lr": {"float": [1e-5, 1.0], "log": True},
            "weight_decay": {"float": [1e-6, 0.1], "log": True},
            "speed": {"float": [0.1, 2.0]},
        },
        "scheduler": {"name": "asha", "max_resource": MAX_RESOURCE},
        "budget": {"trials": 12},
    }
    return StudySpec.from_dict(data | changes)


def synthetic_table(space: SearchSpace | None = None, n_rows: int = 256) -> CurveTable:
    """`n_rows` quasi-random configurations of the space, with curves of MAX_RESOURCE epochs."""
    space = space or synthetic_spec().space
    proposer = SobolProposer(space, 0)
    configs = [proposer.propose([], n, 0) for n in range(n_rows)]
    info = TableInfo(space, synthetic_spec().metric, "epoch", "objectives.synthetic:curves")
    return CurveTable(info, configs, [curve_of_units(metrics(config, n)) for n, config in enumerate(configs)])


def metrics(config: Config, row: int) -> dict[str, np.ndarray]:
    noise = NOISE * np.random.default_rng(derive_seed(row, "table")).standard_normal(MAX_RESOURCE)
    return {"val_loss": np.array([expected_loss(config, epoch) for epoch in range(1, MAX_RESOURCE + 1)]) + noise}


def save_table(path: Path, **changes: Any) -> Path:
    synthetic_table(**changes).save(path)
    return path
