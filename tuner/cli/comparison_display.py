"""A running comparison on the terminal: a line for replays, the study that is under way for live runs."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, final

from rich.console import Console
from rich.markup import escape

from tuner.cli.progress import LIVE_SECONDS, PLAIN_SECONDS, ProgressDisplay
from tuner.cli.tables import seconds
from tuner.control import StudyController
from tuner.workflows.comparing.workflow import Standing


@final
class ComparisonDisplay:
    """`tell` and `watch` for tuner.workflows.comparing: call them as often as you like."""

    def __init__(self, console: Console, *, live: bool, quiet: bool) -> None:
        self._console = console
        self._live = live
        self._quiet = quiet
        self._status = None if live or quiet or not console.is_terminal else console.status("starting processes")
        self._study: ProgressDisplay | None = None
        self._started = self._said = time.monotonic()
        self._before: int | None = None
        """The runs that were done when this began."""
        self.distances: list[float] = []
        """Of all trials that were replayed; see Standing."""

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()
        self._leave_study()

    def tell(self, standing: Standing) -> None:
        """How far the comparison is."""
        self.distances += standing.distances
        if self._quiet:
            return
        if self._live:
            self._tell_live(standing)
        else:
            self._tell_replays(standing)

    def watch(self, controller: StudyController) -> None:
        """How far the live run is that is under way."""
        if self._study is not None:
            self._study(controller)

    def _tell_live(self, standing: Standing) -> None:
        self._leave_study()
        if standing.done == standing.n_runs:
            return
        run = standing.run
        self._console.print(f"run {standing.done + 1} of {standing.n_runs}: {escape(run.method)}, repeat {run.repeat}")
        self._study = ProgressDisplay(self._console)
        self._study.__enter__()

    def _leave_study(self) -> None:
        if self._study is not None:
            self._study.__exit__(None, None, None)
            self._study = None

    def _tell_replays(self, standing: Standing) -> None:
        now = time.monotonic()
        if self._before is None:
            self._before = standing.done - 1
        over = standing.done == standing.n_runs
        if over or now - self._said < (LIVE_SECONDS if self._status is not None else PLAIN_SECONDS):
            return
        self._said = now
        each = (now - self._started) / (standing.done - self._before)
        left = seconds(each * (standing.n_runs - standing.done))
        line = f"{standing.done} of {standing.n_runs} runs replayed, about {left} left"
        if self._status is not None:
            self._status.update(line)
        else:
            self._console.print(line)
