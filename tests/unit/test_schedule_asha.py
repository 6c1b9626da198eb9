"""ASHA against tables worked out by hand from the paper, against a naive reading of it, and for its cost."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.records import Decision
from tuner.schedule import PromotingASHA, StoppingASHA, Stretch, rung_resources

INF = math.inf


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ((1, 243, 3), (1, 3, 9, 27, 81, 243)),
        ((1, 1000, 10), (1, 10, 100, 1000)),
        ((1, 81, 3), (1, 3, 9, 27, 81)),
        ((1, 50, 3), (1, 3, 9, 27, 50)),
        ((2, 9, 2), (2, 4, 8, 9)),
        ((7, 7, 3), (7,)),
    ],
)
def test_rungs(given_, expected):
    assert rung_resources(*given_) == expected


@pytest.mark.parametrize("bad", [(0, 9, 3), (5, 4, 3), (1, 9, 1)])
def test_rungs_that_cannot_be(bad):
    with pytest.raises(ValueError, match="got"):
        rung_resources(*bad)


def test_nine_trials_by_hand():
    """η = 3, r = 1, R = 9, one worker: losses come in the order of the trials; a promotion goes first when there is
    one, as Algorithm 2's get_job does. The columns: what the worker does next, its loss, the decision.
    """
    losses = {0: 0.5, 1: 0.9, 2: 0.7, 3: 0.3, 4: 0.8, 5: 0.6, 6: 0.1, 7: 0.2, 8: 0.4}
    expected = [
        *[(0, 1), (1, 1), (2, 1)],
        (0, 3),  # 3 recorded at rung 1: the best one is trial 0
        (3, 1),  # 4 recorded: still one, and now that is trial 3
        (3, 3),
        *[(4, 1), (5, 1)],  # 6 recorded: the best two, 3 and 0, are promoted already
        (6, 1),  # 7 recorded: the best two are 6 and 3
        (6, 3),  # 3 recorded at rung 3: the best is 6
        (6, 9),
        (7, 1),  # 8 recorded at rung 1: the best two are 6 and 7
        (7, 3),  # 4 recorded at rung 3: the best is 6, promoted already
        (8, 1),  # 9 recorded at rung 1: the best three are 6, 7, 3
    ]
    asha = PromotingASHA((1, 3, 9), 3)
    new, done = iter(losses), []
    for _ in expected:
        ready = asha.promotable()
        stretch = asha.promote(ready.trial) if ready else asha.start(next(new))
        assert ready in (None, stretch)
        decision = asha.on_report(stretch.trial, stretch.until, losses[stretch.trial])
        assert decision is (Decision.STOP if stretch.until == 9 else Decision.PAUSE)
        done.append((stretch.trial, stretch.until))
    assert done == expected
    assert asha.promotable() is None


def test_stopping_by_hand():
    """η = 3: the k-th to reach a rung goes on if it ranks among the best max(1, floor(k/3))."""
    asha = StoppingASHA((1, 3, 9), 3)
    assert asha.start(0) == Stretch(0, 9, (1, 3, 9))
    losses = [0.5, 0.6, 0.4, 0.45, 0.41, 0.39, 0.40, INF, 0.395]
    go_on = [True, False, True, False, False, True, False, False, True]
    for trial, (loss, goes_on) in enumerate(zip(losses, go_on, strict=True)):
        if trial:
            asha.start(trial)
        assert asha.on_report(trial, 1, loss) is (Decision.CONTINUE if goes_on else Decision.STOP), trial
    assert asha.on_report(0, 2, 0.1) is Decision.CONTINUE
    assert asha.stretch(0) == Stretch(0, 9, (3, 9))
    assert asha.on_report(0, 3, INF) is Decision.STOP


def test_ties_go_to_the_lower_number():
    asha = PromotingASHA((1, 2), 2)
    for trial in (1, 0):
        asha.start(trial)
    for trial in (1, 0):
        asha.on_report(trial, 1, 0.5)
    assert asha.promotable() == Stretch(0, 2)


def test_failures_make_room_and_never_go_on():
    asha = PromotingASHA((1, 3, 9), 3)
    for trial in range(6):
        asha.start(trial)
    for trial in (0, 1, 2, 3):
        asha.on_failure(trial)
    assert asha.promotable() is None
    asha.on_report(4, 1, 0.4)
    assert asha.promotable() == Stretch(4, 3)
    assert asha.on_report(5, 1, INF) is Decision.STOP
    asha.promote(4)
    assert asha.promotable() is None
    asha.on_failure(4)
    with pytest.raises(ValueError, match="over"):
        asha.stretch(4)


def test_what_finished_keeps_its_place():
    asha = PromotingASHA((1, 3), 2)
    for trial, loss in enumerate((0.1, 0.2, 0.3)):
        asha.start(trial)
        asha.on_report(trial, 1, loss)
    asha.on_finish(0)
    assert asha.promotable() is None  # trial 0 is still the best one of three
    asha.start(3)
    asha.on_report(3, 1, 0.4)
    assert asha.promotable() == Stretch(1, 3)


def test_skipped_resources_pass_the_rungs_between():
    asha = PromotingASHA((1, 3, 9), 3)
    asha.start(0)
    assert asha.on_report(0, 5, 0.5) is Decision.PAUSE
    assert asha.promote(0) == Stretch(0, 9)
    assert asha.on_report(0, 9, 0.5) is Decision.STOP
    with pytest.raises(ValueError, match="over"):
        asha.stretch(0)


def test_any_paused_trial_can_be_promoted():
    asha = PromotingASHA((1, 3, 9), 3)
    for trial, loss in enumerate((0.3, 0.2)):
        asha.start(trial)
        asha.on_report(trial, 1, loss)
    assert asha.promote(0) == Stretch(0, 3)
    assert asha.stretch(1) == Stretch(1, 3)


class Naive:
    """Algorithm 2, line by line: all of the rungs are sorted at each question."""

    def __init__(self, rungs, eta):
        self.rungs, self.eta = rungs, eta
        self.recorded = [{} for _ in rungs]
        self.gone_on = [set() for _ in rungs]
        self.over = set()

    def promotable(self):
        for k in reversed(range(len(self.rungs) - 1)):
            best = sorted(self.recorded[k], key=lambda trial: (self.recorded[k][trial], trial))
            top = best[: len(best) // self.eta]
            for trial in top:
                if trial not in self.gone_on[k] and trial not in self.over and self.recorded[k][trial] < INF:
                    return Stretch(trial, self.rungs[k + 1])
        return None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["new", "report", "report", "report", "promote", "fail", "finish"]),
        st.integers(0, 30),
        st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, INF]) | st.floats(-1, 1),
    ),
    max_size=120,
)


@given(STEPS, st.sampled_from([2, 3, 4]))
def test_promotable_is_the_naive_one(steps, eta):
    rungs = rung_resources(1, 20, eta)
    asha, naive = PromotingASHA(rungs, eta), Naive(rungs, eta)
    heading: dict[int, int] = {}  # running trial -> index of its next rung
    number = 0
    for action, pick, loss in steps:
        trial = sorted(heading)[pick % len(heading)] if heading else None
        ready = naive.promotable()
        assert asha.promotable() == ready
        if action == "promote" and ready:
            k = rungs.index(asha.promote(ready.trial).until)
            naive.gone_on[k - 1].add(ready.trial)
            heading[ready.trial] = k
        elif action == "new" or trial is None:
            asha.start(number)
            heading[number] = 0
            number += 1
        elif action == "finish":
            asha.on_finish(trial)
            naive.over.add(trial)
            del heading[trial]
        else:
            k = heading.pop(trial)
            naive.recorded[k][trial] = INF if action == "fail" else loss
            if action == "fail":
                naive.over.add(trial)
                asha.on_failure(trial)
            else:
                asha.on_report(trial, rungs[k], loss)


class Counted(float):
    """A loss that counts how often it is compared."""

    n_compared = 0

    def __lt__(self, other):
        Counted.n_compared += 1
        return float(self) < float(other)

    def __eq__(self, other):
        Counted.n_compared += 1
        return float(self) == float(other)

    __hash__ = float.__hash__


def test_the_hundred_thousandth_segment_costs_as_much_as_the_thousandth():
    """Comparisons per segment grow with the logarithm of the segments before it."""
    asha = PromotingASHA(rung_resources(1, 81, 3), 3)
    number, costs = 0, []
    for segment in range(100_000):
        if segment % 10_000 == 0:
            costs.append(-Counted.n_compared)
        if (ready := asha.promotable()) is not None:
            stretch = asha.promote(ready.trial)
        else:
            stretch = asha.start(number)
            number += 1
        # A fixed scramble of the numbers: no order that a heap or a sorted list could profit from.
        asha.on_report(stretch.trial, stretch.until, Counted((stretch.trial * 7_919 + stretch.until) % 100_003))
        if segment % 10_000 == 9_999:
            costs[-1] += Counted.n_compared
    first, last = costs[0] / 10_000, costs[-1] / 10_000
    assert last < 2 * first  # a linear cost would be more than ten times as high
    assert last < 20 * math.log2(100_000)
