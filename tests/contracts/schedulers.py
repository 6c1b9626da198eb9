"""What every scheduler must do, ours or a user's: `check_scheduler(factory)`.

`factory()` gives a new scheduler that knows no trial. The check plays whole studies on it, with losses, failures and
interruptions drawn from a seeded generator, and asserts the contract of tuner.schedule.Scheduler at each step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from tuner.records import Decision
from tuner.schedule import Scheduler, Stretch


def check_scheduler(factory: Callable[[], Scheduler], *, n_trials: int = 40, seeds: range = range(5)) -> None:
    """Assert that the schedulers of `factory` keep the contract."""
    for seed in seeds:
        first, again = Play(factory(), seed), Play(factory(), seed)
        assert first.study(n_trials) == again.study(n_trials), "the same events must give the same decisions"
        check_replay(factory(), first.told)


def check_replay(scheduler: Scheduler, told: list[tuple[str, tuple, object]]) -> None:
    """A scheduler that is told the same in the same order, with no questions asked between, answers the same."""
    for method, arguments, answer in told:
        assert getattr(scheduler, method)(*arguments) == answer, (method, arguments)


class Play:
    """One study on a scheduler, each unit of resource reported, with what was told and answered."""

    def __init__(self, scheduler: Scheduler, seed: int) -> None:
        self.scheduler = scheduler
        self.random = random.Random(seed)
        self.told: list[tuple[str, tuple, object]] = []
        self.at: dict[int, int] = {}
        self.running: dict[int, Stretch] = {}
        self.pausing: set[int] = set()
        self.over: set[int] = set()

    def study(self, n_trials: int) -> list[tuple[str, tuple, object]]:
        """Start, report, fail, interrupt and promote at random until nothing runs."""
        waiting = list(range(n_trials))
        while waiting or self.running:
            if len(self.running) < 4 and (stretch := self._promotable()) is not None:
                self._begin(self._tell("promote", stretch.trial))
            elif waiting and len(self.running) < 4:
                ahead = self._tell("stretch", waiting[0])
                self._begin(self._tell("start", waiting.pop(0)))
                assert self.running[ahead.trial] == ahead, "a new trial is told beforehand what it has before it"
            else:
                self._advance(self.random.choice(sorted(self.running)))
        self._carry_one_to_the_end()
        return self.told

    def _tell(self, method: str, *arguments: object) -> object:
        answer = getattr(self.scheduler, method)(*arguments)
        self.told.append((method, arguments, answer))
        return answer

    def _begin(self, stretch: Stretch) -> None:
        trial, maximum = stretch.trial, self.scheduler.max_resource
        assert trial not in self.over, "what is over never goes on"
        rungs = self.scheduler.rungs(trial)
        assert list(rungs) == sorted(set(rungs))
        assert rungs[-1] == maximum
        assert self.at.get(trial, 0) < stretch.until <= maximum
        assert stretch.until in rungs
        assert all(self.at.get(trial, 0) < resource <= stretch.until for resource in stretch.decide_at)
        assert set(stretch.decide_at) <= set(rungs)
        self.pausing.discard(trial)
        self.running[trial] = stretch

    def _advance(self, trial: int) -> None:
        fate = self.random.random()
        if fate < 0.02:
            self._tell("on_failure", trial)
            self._end(trial)
        elif fate < 0.04:
            self._tell("on_finish", trial)
            self._end(trial)
        elif fate < 0.10:
            before = self.running[trial]
            after = self._tell("stretch", trial)
            assert (after.trial, after.until) == (trial, before.until), "an interruption moves no target"
            due = {resource for resource in before.decide_at if resource > self.at.get(trial, 0)}
            assert due <= set(after.decide_at), "no decision is lost in an interruption"
        else:
            self._report(trial)

    def _report(self, trial: int) -> None:
        stretch = self.running[trial]
        resource = self.at[trial] = self.at.get(trial, 0) + 1
        loss = math.inf if self.random.random() < 0.02 else round(self.random.random(), 2)
        decision = self._tell("on_report", trial, resource, loss)
        if resource not in stretch.decide_at and resource != stretch.until:
            assert decision is Decision.CONTINUE
        if resource == stretch.until:
            assert decision is not Decision.CONTINUE
        if resource == self.scheduler.max_resource:
            assert decision is Decision.STOP
        if decision is Decision.STOP:
            self._end(trial)
        elif decision is Decision.PAUSE:
            del self.running[trial]
            self.pausing.add(trial)
        assert self.scheduler.on_report(trial, resource, 0.0) is decision, "a report told again changes nothing"

    def _end(self, trial: int) -> None:
        self.running.pop(trial, None)
        self.pausing.discard(trial)
        self.over.add(trial)

    def _promotable(self) -> Stretch | None:
        stretch = self.scheduler.promotable()
        assert stretch == self.scheduler.promotable(), "a question changes nothing"
        assert stretch is None or stretch.trial in self.pausing
        if stretch is not None:
            other = self.scheduler.promotable({stretch.trial})
            assert other is None or other.trial in self.pausing - {stretch.trial}, "who is kept from it is not named"
            assert self.scheduler.promotable(self.pausing) is None
            assert stretch == self.scheduler.promotable(), "and stands as before"
        return stretch

    def _carry_one_to_the_end(self) -> None:
        """Any paused trial can be promoted, also one that is not promotable."""
        trial = min(self.pausing, default=None)
        while trial is not None:
            ahead = self._tell("stretch", trial)
            stretch = self._tell("promote", trial)
            assert stretch == ahead, "a paused trial is told beforehand what it has before it"
            assert stretch.until > self.at[trial]
            self.at[trial] = stretch.until
            if self._tell("on_report", trial, stretch.until, 0.5) is Decision.STOP:
                trial = None
