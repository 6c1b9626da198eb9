"""Reports that no store could keep: refused where they are made, with a sentence, and no study is hurt."""

from __future__ import annotations

import decimal
import math

import numpy as np
import pytest
import torch
from workplace import Workplace

from tuner.errors import UserMistake
from tuner.execution.numbers import as_floats

OBJECTIVE = """
import decimal

BAD = [
    {f"m{n}": 0.0 for n in range(10_000)},
    {"loss": 10**400},
    {"loss": 1 + 2j},
    {"loss": "0.5"},
    {"loss": {"value": 0.5}},
    {"loss": 0.5, "a\\0b": 1.0},
    {"loss": 0.5, "\\ud800": 1.0},
    {"loss": 0.5, "x" * 201: 1.0},
    {"loss": 0.5, "": 1.0},
    {"loss": [0.5, 0.6]},
]

def curve(config, trial):
    if trial.number < len(BAD):
        trial.report(1, **BAD[trial.number])
    if trial.number == len(BAD):
        trial.report(2**31, loss=0.5)
    trial.report(1, loss=decimal.Decimal("0.5").__float__())
"""


def test_each_bad_report_fails_its_trial_with_a_sentence(tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(OBJECTIVE)
    changes = ["scheduler={name: none, max_resource: 1}", "failures={retries: 0, give_up_after: 100}"]
    place.tune("run", "spec.yaml", *(f"--set={change}" for change in changes))
    trials = place.json("show", "demo")["trials"]
    said = [trial["failure"] for trial in trials[:11]]
    expected = [
        "10000 metrics in one report, 1000 at most",
        "loss is too large for a float",
        "loss must be a number, got (1+2j)",
        "loss must be a number, got '0.5'",
        "loss must be a number, got {'value': 0.5}",
        r"a metric's name is 1 to 200 characters that can be printed, got 'a\x00b'",
        r"a metric's name is 1 to 200 characters that can be printed, got '\ud800'",
        "a metric's name is 1 to 200 characters that can be printed, got 'xxx",
        "a metric's name is 1 to 200 characters that can be printed, got ''",
        "loss must be a number, got [0.5, 0.6]",
        "the resource must be at most 2147483647, got 2147483648",
    ]
    for sentence, part in zip(said, expected, strict=True):
        assert part in sentence
    assert trials[11]["state"] == "complete"


@pytest.mark.parametrize(
    ("given", "kept"),
    [(1, 1.0), (np.float32(0.5), 0.5), (torch.tensor([0.5]), 0.5), (np.int64(3), 3.0), (math.inf, math.inf)],
)
def test_numbers_of_all_kinds_are_floats(given, kept):
    assert as_floats({"loss": given}) == {"loss": kept}


def test_none_is_nan_and_a_decimal_no_number():
    assert math.isnan(as_floats({"loss": None})["loss"])
    with pytest.raises(UserMistake, match="must be a number"):
        as_floats({"loss": decimal.Decimal("0.5")})
