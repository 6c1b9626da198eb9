"""`tune record`: a finished study becomes a table, whose curves are those that were reported."""

from __future__ import annotations

import math

import numpy as np
import pytest
from workplace import Workplace

from tuner.errors import UserMistake
from tuner.execution import Job
from tuner.execution.simulated import CurveTable, SimulatedExecutor
from tuner.records import TrialState
from tuner.spec.load import load_spec
from tuner.store import open_store
from tuner.workflows import run as workflow
from tuner.workflows.recording import curve_table
from tuner.workflows.study import Study

MOODY = '''
def objective(config, trial):
    """Trials 1 and 5 fail after two epochs, 2 at once, 3 diverges, 4 is patient for four epochs only."""
    for epoch in range(trial.start + 1, trial.until + 1):
        if (trial.number in (1, 5) and epoch == 3) or trial.number == 2:
            raise RuntimeError("on purpose")
        loss = float("nan") if trial.number == 3 and epoch == 2 else config["x"] + 1 / epoch
        extra = {"late": 1.0} if epoch > 3 else {}
        trial.report(epoch, checkpoint={}, loss=loss, twice=2 * loss, **extra)
        if trial.number == 4 and epoch == 4:
            return
'''


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


def run_moody(place):
    (place.folder / "moody.py").write_text(MOODY)
    sets = ["objective=moody:objective", "scheduler.name=none", "failures.retries=0", "study=moody", "budget.trials=8"]
    place.tune("run", "spec.yaml", *[part for change in sets for part in ("--set", change)])
    return Study(open_store(place.folder / "runs" / "tuner.db"), "moody")


def test_the_curves_are_the_reports(place):
    study = run_moody(place)
    place.tune("record", "moody")
    table = CurveTable.load(place.folder / "moody.parquet")
    assert table.configs == tuple(trial.config for trial in study.trials)
    assert table.metrics == ("loss", "twice", "late")
    assert [len(curve) for curve in table.curves] == [9, 3, 1, 2, 4, 3, 9, 9]
    for trial, curve in zip(study.trials, table.curves, strict=True):
        reports = study.reports(trial.number)
        assert curve.resources.tolist()[: len(reports)] == [report.resource for report in reports]
        assert curve.seconds.tolist()[: len(reports)] == [report.seconds for report in reports]
        for name in table.metrics:
            told = [report.metrics.get(name, math.nan) for report in reports]
            np.testing.assert_array_equal(curve.metrics[name][: len(reports)], told)
        failed = trial.state is TrialState.FAILED
        assert math.isnan(curve.metrics["loss"][-1]) == failed
        assert curve.over == (trial.number == 4)
    assert table.rows_reaching(9) == 8
    assert table.info.objective == "moody:objective"
    assert table.info.note == "recorded of study moody"


def test_a_study_replayed_from_its_own_table_ends_as_it_did(place):
    """The same proposals find their own rows again, failures included."""
    study = run_moody(place)
    spec = study.spec.model_copy(update={"study": "again"})
    job = Job("again", curve_table(study), "loss", place.folder / "again", checkpoint=spec.checkpoint)
    prepared = workflow.Prepared(spec, SimulatedExecutor(), job)
    again = workflow.run(open_store(place.folder / "runs" / "tuner.db"), prepared)
    assert [told(trial) for trial in again.trials] == [told(trial) for trial in study.trials]
    assert [(report.resource, report.seconds, report.metrics["loss"]) for report in again.reports(0)] == [
        (report.resource, report.seconds, report.metrics["loss"]) for report in study.reports(0)
    ]


def told(trial):
    """Without the resource of a failure, which is replayed as a report that is not a number, a unit later."""
    return trial.state, trial.config, trial.value, None if trial.state is TrialState.FAILED else trial.resource


def test_what_asha_stopped_answers_only_as_far_as_it_went(place):
    place.tune("run", "spec.yaml")
    told = place.json("record", "demo", "--output", "d.parquet")
    trials = place.json("show", "demo")["trials"]
    whole = sum(trial["resource"] == 9 for trial in trials)
    assert 0 < whole < 12
    assert told["whole"] == whole
    assert told["reports"] == sum(trial["resource"] for trial in trials)
    assert (told["configurations"], told["unit"], told["max_resource"]) == (12, "epoch", 9)
    out, _ = place.tune("record", "demo", "--output", "again.parquet")
    assert f"{whole} of the curves tell a whole training, to epoch 9" in out
    assert "--replay again.parquet" in out


def test_mistakes(place):
    place.tune("run", "spec.yaml")
    place.tune("record", "demo")
    for arguments, why in (
        (("nobody",), "nobody"),
        (("demo",), "demo.parquet is there already"),
        (("demo", "--output", "no/such/folder/t.parquet"), "there is no folder no/such/folder"),
        (("demo", "--output", "."), ". is there already"),
    ):
        _, err = place.tune("record", *arguments, code=2)
        assert why in err
    assert not (place.folder / "no").exists()


def test_only_what_has_ended_is_recorded(place):
    spec = load_spec(place.folder / "spec.yaml", [])
    store = open_store(place.folder / "t.db")
    store.create(spec)
    with pytest.raises(UserMistake, match="demo is unfinished: only a finished one"):
        curve_table(Study(store, "demo"))


def test_a_study_without_a_value_is_nothing_to_replay(place):
    place.tune("run", "spec.yaml", "--set", "objective=thing:broken", code=1)
    _, err = place.tune("record", "demo", code=2)
    assert "no trial with a value" in err
    assert not (place.folder / "demo.parquet").exists()
