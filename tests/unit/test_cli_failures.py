"""A failure that stops its study, as a person meets it: told, shown with their own lines, mended, gone on with."""

from __future__ import annotations

from workplace import SPEC, Workplace

OBJECTIVE = """
from pathlib import Path

import torch
from torch import nn

from tuner.errors import TrialFailed


def objective(config, trial):
    if trial.number == 1:
        helper(torch.zeros(1, 4))
    if trial.number == 2 and not Path("data.csv").exists():
        raise TrialFailed("data.csv is not there", kind="data missing")
    for epoch in range(trial.start + 1, trial.until + 1):
        trial.report(epoch, checkpoint={}, loss=1.0)


def helper(inputs):
    return nn.Sequential(nn.Linear(4, 8), nn.Linear(4, 2))(inputs)
"""


def test_missing_data_stops_a_study_and_it_goes_on_once_the_data_is_there(tmp_path):
    place = Workplace(tmp_path)
    (place.folder / "thing.py").write_text(OBJECTIVE)
    (place.folder / "spec.yaml").write_text(SPEC.replace("thing:curve", "thing:objective"))
    out, err = place.tune("run", "spec.yaml", "--set", "failures.retries=0", "--trials", "4", code=1)
    assert "stopped by trial 2, data missing: data.csv is not there" in out
    assert "the study failed; see tune trial demo 2 --log" in out
    assert "site-packages" not in out + err, "what is printed has the user's own lines"

    shown, _ = place.tune("trial", "demo", "1")
    assert "nn.Linear(4, 2))(inputs)" in shown
    assert "lines of torch" in shown
    assert "site-packages" in (place.folder / "runs" / "demo" / "1" / "log.txt").read_text(), "the log has all"

    (place.folder / "data.csv").touch()
    place.tune("resume", "demo")
    states = [trial["state"] for trial in place.json("show", "demo")["trials"]]
    assert states[1] == "failed"
    assert "failed" not in states[:1] + states[2:]
    assert len(states) == 4
