"""LCBench: a surrogate of the learning curves of multilayer perceptrons on tabular data, seven hyperparameters.

Zimmer, Lindauer, Hutter: Auto-PyTorch Tabular, TPAMI 2021 (the curves); Pfisterer, Schneider, Moosbauer, Binder,
Bischl: YAHPO Gym, AutoML 2022 (the surrogate). A full training is epochs 2 to 51, 50 units: epoch 1 is the untrained
network.
"""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from problem import Curve

from tuner.space import Float, Int, SearchSpace

DEVELOPMENT = (0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 23, 24, 26, 27, 29, 30, 32)
"""Positions of the tasks that methods may be developed on. The other twelve are for checking a claim, once."""

N_RANDOM = 2000
"""Configurations whose best is the zero of the score."""

BEST_OF_RANDOM = Path.home() / ".cache" / "tuner" / "lcbench-best-of-2000.json"
"""The best loss of so many, by task: 100,000 queries each, asked once."""

SPACE = SearchSpace(
    {
        "batch_size": Int(16, 512, log=True),
        "learning_rate": Float(1e-4, 0.1, log=True),
        "momentum": Float(0.1, 0.99),
        "weight_decay": Float(1e-5, 0.1),
        "num_layers": Int(1, 5),
        "max_units": Int(64, 1024, log=True),
        "max_dropout": Float(0, 1),
    }
)
"""In the order in which the model takes them."""

ACCURACY = 1
"""The model's output that is the validation accuracy in percent."""


class LCBench:
    """One task. The loss is the share of the validation samples told wrongly, in percent."""

    benchmark = "lcbench"
    space = SPACE
    max_resource = 50

    def __init__(self, folder: Path, task: str) -> None:
        if task not in LCBench.tasks(folder):
            raise ValueError(f"task {task} is not one to develop on: there are {', '.join(LCBench.tasks(folder))}")
        import onnxruntime  # no dependency of the project

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.task = task
        self._model = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        code = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"][task]
        self._code = np.full((self.max_resource, 1), code, dtype=np.int32)

    @staticmethod
    def tasks(folder: Path) -> list[str]:
        """The tasks that methods may be developed on."""
        axes = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
        (names,) = (axis["choices"] for axis in axes if axis["name"] == "OpenML_task_id")
        return [names[position] for position in DEVELOPMENT]

    def curves(self) -> LCBench:
        return self  # a surrogate remembers nothing

    def __call__(self, config: dict[str, Any]) -> Curve:
        inputs = np.empty((self.max_resource, 1 + len(SPACE)), dtype=np.float32)
        inputs[:, 0] = np.arange(2, self.max_resource + 2)
        inputs[:, 1:] = [config[name] for name in SPACE]
        (output,) = self._model.run(None, {"x_cat": self._code, "x_cont": inputs})
        return 100.0 - output[:, ACCURACY].astype(np.float64)

    def score(self, loss: float) -> float:
        """Points of validation accuracy below the best of 2,000 random configurations; negative: better than it."""
        return loss - self._best_of_random

    @cached_property
    def _best_of_random(self) -> float:
        known = json.loads(BEST_OF_RANDOM.read_text()) if BEST_OF_RANDOM.exists() else {}
        if self.task not in known:
            units = np.random.default_rng(0).random((N_RANDOM, len(SPACE))).tolist()
            known[self.task] = min(float(self(SPACE.from_unit(unit)).min()) for unit in units)
            BEST_OF_RANDOM.parent.mkdir(parents=True, exist_ok=True)
            partial = BEST_OF_RANDOM.with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps(known))
            partial.replace(BEST_OF_RANDOM)  # two programs may find the same numbers at once
        return known[self.task]
