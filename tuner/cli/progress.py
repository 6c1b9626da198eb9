"""A running study on the terminal: a live block, or a plain line now and then when nobody watches."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Self, final

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuner.cli.tables import configuration, number, seconds
from tuner.control import StudyController
from tuner.records import TrialState, TrialSummary
from tuner.workflows.gauge import Gauge, Speed
from tuner.workflows.progress import Progress, best_so_far, progress_of

LIVE_SECONDS = 0.5
PLAIN_SECONDS = 15.0


@final
class ProgressDisplay:
    """A `watch` for tuner.workflows.run: call it as often as you like; it draws as often as is useful. The time left is
    known early with a `gauge` that the run feeds.
    """

    def __init__(self, console: Console, *, gauge: Gauge | None = None, quiet: bool = False) -> None:
        self._console = console
        self._gauge = gauge
        self._paced = False  # whether a pace was shown: the first one is news
        self._quiet = quiet
        waiting = Text("waiting for the first worker")
        self._live = Live(waiting, console=console, auto_refresh=False) if console.is_terminal and not quiet else None
        self._every = LIVE_SECONDS if self._live else PLAIN_SECONDS
        self._started = time.monotonic()
        self._drawn = 0.0 if self._live else self._started
        self._best: float | None = None
        self._on_hold = ""

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, controller: StudyController) -> None:
        """Draw, if it is time to."""
        if self._quiet:
            return
        now = time.monotonic()
        speed = self._gauge.speed() if self._gauge else Speed()
        news = controller.ended is not None or (bool(speed.paces) and not self._paced)
        news = news or controller.on_hold != self._on_hold
        if now - self._drawn < self._every and not news:
            return
        self._drawn, self._paced, self._on_hold = now, bool(speed.paces), controller.on_hold
        progress = progress_of(controller, seconds_this_session=now - self._started, speed=speed)
        best = best_so_far(controller)
        if self._live:
            self._live.update(self._block(controller, progress, best), refresh=True)
        else:
            self._console.print(self._line(controller, progress, best), soft_wrap=True)

    def _line(self, controller: StudyController, progress: Progress, best: TrialSummary | None) -> str:
        states = Counter(trial.state for trial in controller.trials)
        metric = escape(controller.spec.metric.name)
        best_text = f"best {metric} {number(best.value)} (trial {best.number})" if best else "no value yet"
        held = f"  {escape(_how_it_goes_on(controller))}" if controller.on_hold else ""
        return f"{_time(progress)}  {len(controller.trials)} trials: {_states(states)}  {best_text}{held}"

    def _block(self, controller: StudyController, progress: Progress, best: TrialSummary | None) -> Group:
        spec, trials = controller.spec, controller.budget.trials
        states = Counter(trial.state for trial in controller.trials)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            f"[bold]{escape(spec.study)}[/bold]",
            ProgressBar(total=1.0, completed=progress.share, width=30),
            f"{len(controller.trials)}{f' of {trials}' if trials else ''} trials",
            _time(progress),
        )
        lines = [Text(f"  {_states(states)}")]
        if best is not None:
            lines.append(
                Text.from_markup(
                    f"  best {escape(spec.metric.name)} [bold]{number(best.value)}[/bold] at {spec.scheduler.unit} "
                    f"{best.resource}: trial {best.number}  {configuration(best.config, list(spec.axes))}",
                    emoji=False,
                )
            )
        running = [
            f"{trial.number} ({trial.resource}→{trial.segment.until if trial.segment else '?'})"
            for trial in controller.running[:8]
        ]
        if running:
            lines.append(Text(f"  running: {', '.join(running)}"))
        if controller.on_hold:
            lines.append(Text(f"  {_how_it_goes_on(controller)}"))
        return Group(bar, *lines)


def _how_it_goes_on(controller: StudyController) -> str:
    return f"{controller.on_hold}; tune unpause {controller.spec.study} lets it go on"


def _states(states: Counter[TrialState]) -> str:
    return ", ".join(f"{states[state]} {state.value}" for state in TrialState if states[state])


def _time(progress: Progress) -> str:
    left = f", about {seconds(progress.seconds_left)} left" if progress.seconds_left else ""  # nothing once it is over
    return f"{seconds(progress.seconds)}{left}"
