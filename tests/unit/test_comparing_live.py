"""Live comparisons: ordinary studies, one after the other, that go on where they were."""

from __future__ import annotations

from contextlib import closing

import pytest
from synthetic_table import synthetic_spec

from objectives.synthetic import curves
from tuner.analysis.compared import Comparison
from tuner.control import StudyController
from tuner.errors import ObjectiveError
from tuner.records import encode_event
from tuner.store import StudyState, open_store
from tuner.workflows.comparing.planning import make_plan, runs_of, spec_of
from tuner.workflows.comparing.workflow import Comparing, check_runnable, run
from tuner.workflows.study import Study

SPEC = synthetic_spec(executor="local", parallel=1, budget={"trials": 4})


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_HOME", str(tmp_path))
    with closing(open_store()) as store:
        yield store


def decisions(store, plan):
    """What was decided and seen in each run; not how long it took."""
    return {
        each.study: [(report.trial, report.resource, dict(report.metrics)) for report in store.reports(each.study)]
        for each in runs_of(plan)
    }


def test_runs_are_ordinary_studies_with_files_of_their_own(store, tmp_path):
    plan = make_plan(SPEC, ["grid", "asha+random"], 2)
    told = []
    run(store, plan, tell=told.append)
    assert [(standing.done, standing.run) for standing in told] == [*enumerate(runs_of(plan)), (4, runs_of(plan)[-1])]
    for each in runs_of(plan):
        study = Study(store, each.study)
        assert (study.state, study.spec) == ("finished", spec_of(plan, each))
        assert study.folder == tmp_path / each.study
        assert (study.folder / "0" / "log.txt").exists()
    comparison = Comparison(store, plan.name)
    assert (comparison.state, comparison.n_done) == ("finished", 4)
    spent = {run.method: run.trace.units[-1] for run in comparison.findings.runs}
    assert spent == {"grid": 36, "asha+random": 36}


class Interrupted(Exception):
    pass


def test_an_interrupted_run_goes_on_and_finished_ones_are_not_run_again(store, tmp_path):
    plan = make_plan(SPEC, ["random", "asha+tpe"], 2)

    def interrupt(controller: StudyController) -> None:
        if controller.spec.study == "synthetic-compare.asha-tpe.0" and controller.units >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(store, plan, Comparing(watch=interrupt))
    comparison = Comparison(store, plan.name)
    assert (comparison.state, comparison.n_done, comparison.n_runs) == ("unfinished", 1, 4)
    assert list(comparison.states.values()) == [StudyState.FINISHED, StudyState.UNFINISHED]
    first = [(entry.time, encode_event(entry.event)) for entry in store.journal("synthetic-compare.random.0")]
    run(store, plan)
    assert [(entry.time, encode_event(entry.event)) for entry in store.journal("synthetic-compare.random.0")] == first
    assert Comparison(store, plan.name).state == "finished"
    with closing(open_store(tmp_path / "other" / "whole.db")) as whole:
        elsewhere = plan.spec.model_copy(update={"storage": str(tmp_path / "other")})
        other = make_plan(elsewhere, plan.methods, 2, name=plan.name, budget=plan.spec.budget)
        run(whole, other)
        assert decisions(whole, other) == decisions(store, plan), "as if it had never been interrupted"


def test_an_objective_that_is_an_object(store):
    plan = make_plan(SPEC.model_copy(update={"objective": "nowhere:nothing"}), ["random"], 1)
    with pytest.raises(ObjectiveError, match="nowhere"):
        check_runnable(plan)
    assert store.comparisons.names() == []
    check_runnable(plan, Comparing(objective=curves))
    run(store, plan, Comparing(objective=curves))
    assert Comparison(store, plan.name).state == "finished"
