"""The table of trials, events, failures and progress of a study, of values made by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from by_hand import study_spec
from seen import Seen, climb, ended, trial

from tuner.analysis.events import events_table, failures_table
from tuner.analysis.overview import LONGEST_TICK, outline_progress
from tuner.analysis.progress import expected_units, progress
from tuner.analysis.scales import suits_log
from tuner.analysis.trial_table import chosen_rows, trial_table
from tuner.records import Command, Commanded, CommandKind, Ending, Failure, FailureKind, StudyEnded, Ticked
from tuner.spec import Budget
from tuner.store import Holder, JournalEntry, PostedCommand, StudyOutline, StudyRecord, StudyState

HOLDER = Holder("here", "boot", 7, 0.0)


def test_events_are_sessions_commands_failures_and_the_end():
    seen = climb()
    stop = Command(CommandKind.STOP, "anna", trial=0)
    seen.others += [(13, 513.0, Commanded(stop, 1)), (14, 514.0, StudyEnded("all done"))]
    extend = Command(CommandKind.EXTEND, "bo", budget={"trials": 20, "minutes": None})
    seen.commands = [PostedCommand(1, 512.5, stop), PostedCommand(2, 600.0, extend)]
    table = events_table(seen)
    assert table["kind"].tolist() == ["session", "failure", "session", "lost", "command", "end", "command"]
    assert table["trial"].fillna(-1).tolist() == [-1, 2, -1, 1, 0, -1, -1]
    assert table["what"].iloc[-1] == "bo: extend the budget to 20 trials; not taken up yet"
    assert table["seconds"].tolist()[:4] == [0.0, 8.0, 8.0, 8.0]
    assert events_table(Seen()).empty


def test_what_was_lost_is_told_as_far_as_it_is_known():
    why = Failure(FailureKind.PREEMPTED, "its node was preempted")
    ends = [ended(2, Ending.LOST, 0, why), ended(2, Ending.LOST, 1)]
    told = events_table(Seen(others=[(number, 1.0, end) for number, end in enumerate(ends, 2)]))["what"].tolist()
    assert told == [
        "segment 0 was cut short: preempted: its node was preempted",
        "segment 1 was cut short: its worker went away",
    ]


def test_failures_are_grouped_by_what_they_say():
    seen = climb()
    again = replace(seen.trials[2], number=4)
    other = replace(seen.trials[2], number=5, failure=Failure(FailureKind.TIMEOUT, "slow"))
    table = failures_table([*seen.trials, other, again])
    assert table.to_numpy().tolist() == [
        ["exception", "no", 2, "2, 4", "Traceback"],
        ["timeout", "slow", 1, "5", ""],
    ]
    assert failures_table([]).empty


def record(state: str = "running", held: bool = True, **parts: Any) -> StudyRecord:
    return StudyRecord("hand", study_spec(**parts), StudyState(state), "", 0.0, 0.0, 1, 0, HOLDER if held else None)


def test_the_time_left_follows_from_the_share_of_the_budget_that_is_spent():
    """9 trials on rungs 1, 3, 9 are expected to spend 9 (1 + 2/3 + 6/9) = 21 epochs."""
    assert expected_units(study_spec()) == pytest.approx(7 / 3)
    half = progress(record(), Budget(trials=9), 7, 10.0)
    assert half.share == pytest.approx(1 / 3)
    assert half.seconds_left == pytest.approx(20.0)
    assert progress(record(), Budget(trials=9, minutes=0.25), 7, 10.0).seconds_left == pytest.approx(5.0)
    assert progress(record(), Budget(trials=None, epochs=10), 5, 3.0).seconds_left == pytest.approx(3.0)
    assert progress(record(), Budget(trials=9), 100, 10.0).share == 0.99
    assert progress(record(), Budget(trials=9), 0, 10.0).seconds_left is None
    assert progress(record("unfinished", held=False), Budget(trials=9), 7, 10.0).seconds_left is None
    assert progress(record("finished", held=False), Budget(trials=9), 7, 10.0).share == 1.0


def axes() -> Seen:
    space = {
        "lr": {"float": [1e-4, 1.0], "log": True, "none": True},
        "layers": {"int": [1, 4], "when": {"kind": ["a"]}},
        "kind": {"choice": ["a", "b"]},
        "never": {"float": [0.0, 1.0]},
    }
    configs = [{"lr": 0.01, "layers": 2, "kind": "a"}, {"lr": None, "kind": "b"}]
    space = {name: space[name] for name in ("lr", "kind", "layers", "never")}
    failure = Failure(FailureKind.OUT_OF_MEMORY, "no ROOM")
    trials = [
        trial(0, "complete", 9, 0.5, config=configs[0]),
        trial(1, "failed", 0, config=configs[1], failure=failure),
    ]
    return Seen(trials=trials, spec=study_spec(space=space))


def test_a_night_between_two_sessions_is_nobodys_running_time():
    spec = study_spec(budget={"trials": None, "minutes": 60})
    ticks = [JournalEntry(9, 1_000.0, Ticked(60.0))]
    resumed = StudyOutline(
        "s", spec, "", StudyState.RUNNING, "", 940.0, 87_400.0, 12, 0, Holder("here", "boot", 1, 87_390.0), {}, ()
    )
    assert 60 < outline_progress(resumed, ticks, []).seconds <= 60 + LONGEST_TICK
    running = replace(resumed, updated=1_004.0)
    assert outline_progress(running, ticks, []).seconds == 64


def test_the_table_of_trials_has_a_column_for_each_axis():
    table = trial_table(axes())
    assert table["config.lr"].tolist()[0] == 0.01
    assert table["config.lr"].isna().tolist() == [False, True]
    assert table["config.layers"].dtype == "Int64"
    assert table["config.never"].isna().all()
    assert table["rank"].fillna(0).tolist() == [1, 0]
    assert table["note"].tolist() == ["", "out of memory: no ROOM"]
    assert trial_table(Seen()).empty


@pytest.mark.parametrize(
    ("text", "states", "pinned", "found"),
    [
        ("", (), (), [0, 1]),
        ("", ("failed",), (), [1]),
        ("room memory", (), (), [1]),
        ("lr=off", (), (), [1]),
        ("lr=0.01 kind=a", (), (), [0]),
        ("layers=2", (), (), [0]),
        ("#1", (), (), [1]),
        ("nothing", (), (), []),
        ("nothing", (), (1,), [1]),
        ("", (), (1, 7), [1, 0]),
    ],
)
def test_rows_are_found_by_words_and_states_and_pinned_ones_stay(text, states, pinned, found):
    assert chosen_rows(trial_table(axes()), text, states, pinned)["trial"].tolist() == found


def test_a_log_axis_suits_what_spans_decades():
    assert suits_log([0.01, 0.1, 1.0, math.nan])
    assert not suits_log([0.5, 0.6])
    assert not suits_log([0.0, 100.0])
    assert not suits_log([])
