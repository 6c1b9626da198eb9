"""What every store must do with comparisons: each of `CHECKS`, called with an `Opener` as those of `stores` are."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from store_samples import EVENTS, TRIALS, Opener, lines, spec

from tuner.errors import StudyExists, StudyHeld, StudyNotFound
from tuner.records import StudyEnded
from tuner.store import ComparisonPlan, ComparisonRun, JournalEntry, Replay, StudyState

REPLAY = Replay("tables/größe 雪.parquet", "ab" * 32, 8)


def plan(name: str = "mnist-compare", **changes: Any) -> ComparisonPlan:
    return ComparisonPlan(**{"spec": spec(name, seed=7), "methods": ("random", "asha+tpe"), "repeats": 2} | changes)


def run(method: str, repeat: int, comparison: str = "mnist-compare") -> ComparisonRun:
    return ComparisonRun(comparison, method, repeat, f"{comparison}.{method.replace('+', '-')}.{repeat}")


def check_plans(opener: Opener) -> None:
    """Create, look up, list, change; a name belongs to one thing, be it a study or a comparison."""
    with closing(opener()) as store:
        assert store.comparisons.names() == store.comparisons.runs() == []
        first = store.comparisons.create(plan())
        assert first.plan == plan()
        store.comparisons.create(plan("second", replay=REPLAY))
        assert store.comparisons.names() == ["second", "mnist-compare"]
        changed = store.comparisons.change(plan(methods=("random",), repeats=30, replay=REPLAY))
        assert changed.plan == plan(methods=("random",), repeats=30, replay=REPLAY)
        assert store.comparisons.find("mnist-compare") == changed
        assert changed.created == first.created
        store.create(spec("a-study"))
        for taken in ("second", "a-study"):
            with pytest.raises(StudyExists, match=repr(taken)):
                store.comparisons.create(plan(taken))
        with pytest.raises(StudyExists, match="a comparison 'second'"):
            store.create(spec("second"))
        assert store.names() == ["a-study"]


def check_unknown_comparisons(opener: Opener) -> None:
    """Each method says which comparison it does not know; a study is none."""
    with closing(opener()) as store:
        store.create(spec("mnist"))
        for name in ("nobody", "mnist"):
            comparisons = store.comparisons
            for call in (comparisons.find, comparisons.runs, comparisons.states, comparisons.delete):
                with pytest.raises(StudyNotFound, match=repr(name)):
                    call(name)
            with pytest.raises(StudyNotFound, match=repr(name)):
                store.comparisons.change(plan(name))
            with pytest.raises(StudyNotFound, match=repr(name)):
                store.comparisons.add_run(run("random", 0, name), spec(f"{name}.random.0"))
        assert store.names() == ["mnist"]


def check_runs(opener: Opener) -> None:
    """A run is a study: a new one, or one with its journal, which comes back as it was, times included."""
    with closing(opener()) as store:
        store.comparisons.create(plan())
        store.comparisons.create(plan("other"))
        new, old, elsewhere = run("random", 0), run("asha+tpe", 1), run("random", 0, "other")
        journal = [JournalEntry(n, 1e9 + n / 3, event) for n, event in enumerate(EVENTS, 1)]
        store.comparisons.add_run(new, spec(new.study))
        store.comparisons.add_run(old, spec(old.study, seed=9), journal, TRIALS)
        store.comparisons.add_run(elsewhere, spec(elsewhere.study))
        assert store.comparisons.runs() == [new, old, elsewhere]
        assert store.comparisons.runs("mnist-compare") == [new, old]
        assert (store.study(new.study).state, store.study(new.study).events) == (StudyState.UNFINISHED, 0)
        there = store.study(old.study)
        assert (there.spec, there.events, there.holder) == (spec(old.study, seed=9), len(EVENTS), None)
        assert isinstance(EVENTS[-1], StudyEnded)
        assert (there.state, there.reason) == (StudyState.FINISHED, EVENTS[-1].reason)
        states = {new.study: StudyState.UNFINISHED, old.study: StudyState.FINISHED}
        assert store.comparisons.states("mnist-compare") == states
        writer = store.write(new.study)
        assert store.comparisons.states("mnist-compare") == states | {new.study: StudyState.RUNNING}
        writer.append([StudyEnded("no way on", failed=True)])
        writer.release()
        assert store.comparisons.states("mnist-compare")[new.study] is StudyState.FAILED
        assert list(store.comparisons.states("mnist-compare")) == [new.study, old.study]
        entries = list(store.journal(old.study))
        assert [(entry.number, entry.time) for entry in entries] == [(entry.number, entry.time) for entry in journal]
        assert lines(entry.event for entry in entries) == lines(EVENTS)
        assert repr(store.trials(old.study)) == repr(list(TRIALS))
        values = store.values(old.study)
        assert (values.number.tolist(), values.time.tolist()) == ([2, 3], [1e9 + 2 / 3, 1e9 + 1])


def check_no_run_twice(opener: Opener) -> None:
    """A method's repeat is one study; what is refused leaves nothing behind."""
    with closing(opener()) as store:
        store.comparisons.create(plan())
        first = run("random", 0)
        store.create(spec("taken"))
        store.comparisons.add_run(first, spec(first.study))
        for again in (
            first,
            ComparisonRun("mnist-compare", "random", 0, "another"),
            ComparisonRun("mnist-compare", "random", 1, "taken"),
        ):
            with pytest.raises(StudyExists, match=repr(again.study)):
                store.comparisons.add_run(again, spec(again.study), [JournalEntry(1, 1.0, StudyEnded("done"))])
        assert sorted(store.names()) == [first.study, "taken"]
        assert store.comparisons.runs() == [first]
        assert list(store.journal("taken")) == []


def check_deletion(opener: Opener) -> None:
    """Runs go with their comparison, unless one is being written; a run that is deleted alone is no run any more."""
    with closing(opener()) as store:
        store.comparisons.create(plan())
        store.create(spec("study"))
        both = [run("random", 0), run("random", 1)]
        for each in both:
            store.comparisons.add_run(each, spec(each.study))
        writer = store.write(both[1].study)
        with pytest.raises(StudyHeld, match=both[1].study):
            store.comparisons.delete("mnist-compare")
        assert store.comparisons.runs() == both
        writer.release()
        store.delete(both[0].study)
        assert store.comparisons.runs("mnist-compare") == both[1:]
        store.comparisons.delete("mnist-compare")
        assert store.comparisons.names() == store.comparisons.runs() == []
        assert store.names() == ["study"]


CHECKS = (check_plans, check_unknown_comparisons, check_runs, check_no_run_twice, check_deletion)
