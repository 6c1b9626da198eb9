"""The verdict: an honest sentence for every case, and seldom wrong when all are alike."""

import re

import numpy as np
import pytest
from comparison_runs import full_trainings, random_search

from tuner.analysis.comparison import Run, verdict


def runs(repeats, problems=("default",), **scales):
    return [
        random_search(method, repeat, scale, 100 * i + j, problem=problem)
        for repeat in range(repeats)
        for i, (method, scale) in enumerate(scales.items())
        for j, problem in enumerate(problems)
    ]


def test_who_is_ahead_by_how_much_and_of_what_it_holds():
    found = verdict(runs(12, random=1.0, tpe=0.1), 16, "trials", metric="val_loss")
    assert (found.leader, found.ahead_of, found.level_with) == ("tpe", ("random",), ())
    text = str(found)
    assert text.startswith("tpe is ahead of random after 16 trials: its val_loss is lower by ")
    assert "12 repeats" in text
    assert "what random has after 16 trials" in text
    assert found.sentences[-1].startswith("This holds for this problem and this budget")
    assert len(found.sentences) <= 4


@pytest.mark.parametrize(("by", "unit"), [("trials", "trials"), ("units", "epochs"), ("seconds", "seconds")])
def test_what_is_saved_has_its_unit(by, unit):
    text = str(verdict(runs(12, random=1.0, tpe=0.1), 16, by, unit="epochs"))
    number = r"(?:[\d.]+|never)"
    saved = rf"It reaches after {number} {unit} \(95 % interval {number} to {number}\) what random has"
    assert re.search(saved, text), text


def test_what_is_maximised_is_told_so():
    accuracies = {"random": 0.9, "tpe": 0.97}
    given = [Run(m, r, full_trainings([-a - r / 1000])) for m, a in accuracies.items() for r in range(8)]
    found = verdict(given, 1, "trials", metric="val_accuracy", maximised=True)
    assert "tpe is ahead of random after 1 trials: its val_accuracy is higher by 0.07" in str(found)
    alone = verdict(given[:1], 1, "trials", metric="val_accuracy", maximised=True)
    assert "median val_accuracy 0.9 after" in str(alone)


def test_so_many_repeats_that_the_number_is_a_guess():
    ends = {"random": [0.5, 0.2, 0.52, 0.2, 0.5, 0.21], "tpe": [0.2, 0.51, 0.2, 0.5, 0.2, 0.5]}
    found = verdict([Run(m, r, full_trainings([end])) for m in ends for r, end in enumerate(ends[m])], 1, "trials")
    assert found.repeats_needed is not None
    assert found.repeats_needed > 100
    assert f"about {float(f'{found.repeats_needed:.2g}'):,.0f} would be needed" in str(found)


def test_three_repeats_cannot_tell_and_say_how_many_could():
    ends = {"random": [0.5, 0.6, 0.7], "tpe": [0.3, 0.2, 0.4]}
    given = [Run(m, r, full_trainings([0.9] * 15 + [end])) for m in ends for r, end in enumerate(ends[m])]
    found = verdict(given, 16, "trials")
    assert (found.leader, found.ahead_of, found.repeats_needed) == ("tpe", (), 11)
    assert "Cannot tell tpe from random after 16 trials with 3 repeats; about 11 would be needed" in str(found)


@pytest.mark.parametrize("repeats", [1, 2])
def test_too_few_repeats_give_no_number_but_the_least(repeats):
    found = verdict(runs(repeats, random=1.0, tpe=0.01), 16, "trials")
    assert found.repeats_needed is None
    assert found.ahead_of == ()
    assert "too few to say how many it would take: at least 6." in str(found)
    assert ("may be luck" in str(found)) == (repeats == 1)


def test_methods_alike_are_bounded():
    found = verdict(runs(12, random=1.0, tpe=1.0), 16, "trials")
    assert found.ahead_of == ()
    assert "No two methods differ by more than" in str(found)


def test_several_problems_are_told_in_regret():
    found = verdict(runs(6, ("a", "b", "c"), random=1.0, tpe=0.05), 16, "units", unit="epochs")
    assert found.ahead_of == ("random",)
    assert "after 16 epochs: its normalised regret is lower" in str(found)
    assert "6 repeats of each of 3 problems" in str(found)
    assert "In half of the problems it reaches what random has then" in str(found)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "Nothing was run."),
        (
            [Run("tpe", 0, full_trainings([0.5]))],
            "Only tpe was run (median loss 0.5 after 1 units, 1 repeat). There is",
        ),
        ([Run(m, 0, full_trainings([np.inf])) for m in "ab"], "No run has a result after 1 units: every trial failed"),
        ([Run("a", 0, full_trainings([1])), Run("b", 1, full_trainings([1]))], "No repeat has been run with every"),
        ([Run(m, r, full_trainings([r])) for m in "ab" for r in range(9)], "All methods have the same loss after"),
    ],
)
def test_where_there_is_nothing_to_test_it_says_so(given, sentence):
    found = verdict(given, 1)
    assert str(found).startswith(sentence)
    assert found.leader is None


def test_a_method_that_always_fails_is_behind():
    failing = [Run("bad", r, full_trainings([np.inf])) for r in range(9)]
    found = verdict([*failing, *(Run("good", r, full_trainings([0.1 * r])) for r in range(9))], 1)
    assert (found.leader, found.ahead_of) == ("good", ("bad",))
    assert "nan" not in str(found)


def test_alike_methods_are_seldom_called_ahead():
    rng = np.random.default_rng(0)
    n, repeats = 200, 10
    wrong = 0
    for _ in range(n):
        alike = [Run(m, r, full_trainings([rng.exponential()])) for m in "abc" for r in range(repeats)]
        wrong += bool(verdict(alike, 1).ahead_of)
    assert wrong / n <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / n)
