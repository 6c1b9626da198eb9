"""`tune run` and `tune resume`: a study from its first line to its last."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tuner.analysis import best_trial
from tuner.cli.checking import plan
from tuner.cli.interrupting import INTERRUPTED, interruptible
from tuner.cli.progress import ProgressDisplay
from tuner.cli.reading import print_json, print_study
from tuner.cli.tables import console as terminal
from tuner.home import author
from tuner.search import make_sampler
from tuner.spec import differences
from tuner.spec.load import load_spec
from tuner.store import SqlStore, default_store_url, open_store, shown_store
from tuner.workflows import run as workflow
from tuner.workflows.gauge import Gauge
from tuner.workflows.revising import horizon_free, revise
from tuner.workflows.study import Study


def run_spec(
    path: Path,
    overrides: list[str],
    store: str | None,
    *,
    fresh: bool,
    parallel: int | None,
    executor: str | None,
    address: str | None,
    as_json: bool,
) -> None:
    """`tune run`."""
    spec = load_spec(path, overrides)
    points = make_sampler(spec).size()
    spec, was_there = workflow.settle_name(open_store(store, create=False), spec, fresh=fresh)
    console = terminal(stderr=as_json)
    if was_there and workflow.finished(study := Study(open_store(store), spec.study)):
        console.print(f"{escape(study.name)} is done already; tune resume {escape(study.name)} --trials N extends it.")
        _last_words(console, study, store, as_json=as_json)
        return
    options = workflow.Options(executor=executor, parallel=parallel, address=address)
    with console.status("preparing: objective, data, workers"):
        prepared = workflow.prepare(spec, options=options)
    opened = open_store(store)
    console.print(escape(plan(spec, points)))
    _tell_note(console, prepared)
    if was_there:
        console.print(f"going on with {escape(spec.study)}: {len(opened.trials(spec.study))} trials so far")
    _run(console, opened, prepared, store, as_json=as_json)


def resume(
    name: str,
    overrides: list[str],
    store: str | None,
    *,
    trials: int | None,
    minutes: float | None,
    parallel: int | None,
    executor: str | None,
    address: str | None,
    as_json: bool,
) -> None:
    """`tune resume`."""
    opened = open_store(store, create=False)
    study = Study(opened, name)
    limits = {"trials": trials, "minutes": minutes}
    overrides = [*overrides, *(f"budget.{limit}={value}" for limit, value in limits.items() if value is not None)]
    spec, budget = revise(study.spec, study.budget, overrides)
    options = workflow.Options(executor=executor, parallel=parallel, address=address)
    console = terminal(stderr=as_json)
    with console.status("preparing: objective, data, workers"):
        prepared = workflow.prepare(spec, options=options)
    console.print(f"going on with {escape(name)}: {len(study.trials)} trials so far")
    _tell_note(console, prepared)
    extension = None
    if overrides or workflow.finished(study):
        extension = workflow.Extension(author(), **budget, revised=spec != study.spec)
        _tell_revision(console, study, prepared)
    _run(console, opened, prepared, store, as_json=as_json, extension=extension)


def _tell_note(console: Console, prepared: workflow.Prepared) -> None:
    if prepared.note:
        console.print(escape(prepared.note), soft_wrap=True, highlight=False)


def _tell_revision(console: Console, study: Study, prepared: workflow.Prepared) -> None:
    """What is different from now on."""
    before, after = study.spec, prepared.spec
    for difference in differences(before.to_dict(), after.to_dict()):
        console.print(f"  {escape(difference)}", soft_wrap=True, highlight=False)
    old, new = before.scheduler.max_resource, after.scheduler.max_resource
    if old == new:
        return
    n_free = len(horizon_free(prepared.job.objective, [trial.config for trial in study.trials]))
    n_bound = len(study.trials) - n_free
    if n_free:
        console.print(f"  {n_free} trials may go on along their curves, to {after.scheduler.unit} {new}")
    if n_bound:
        console.print(f"  {n_bound} were laid out over {old} {after.scheduler.unit}s: the best of them start again")


@interruptible()
def _run(
    console: Console,
    opened: SqlStore,
    prepared: workflow.Prepared,
    store: str | None,
    *,
    as_json: bool,
    extension: workflow.Extension | None = None,
) -> None:
    gauge = Gauge()
    try:
        with (
            redirect_stdout(sys.stderr) if as_json else nullcontext(),  # an objective may print
            ProgressDisplay(console, gauge=gauge, quiet=as_json) as display,
        ):
            study = workflow.run(opened, prepared, display, extension=extension, gauge=gauge)
    except KeyboardInterrupt:
        again = f"tune resume {prepared.spec.study}{store_option(store)}"
        console.print(f"\ninterrupted; everything reported is saved. Go on with: {escape(again)}", soft_wrap=True)
        sys.exit(INTERRUPTED)
    _last_words(console, study, store, as_json=as_json)
    if study.state == "failed" or best_trial(study.trials, study.spec.metric) is None:
        best = best_trial(study.trials, study.spec.metric)
        number = next((trial.number for trial in reversed(study.trials) if trial.failure), 0)
        why = "no trial gave a value" if best is None else "the study failed"
        console.print(f"[red]{why}[/red]; see tune trial {escape(study.name)} {number} --log", soft_wrap=True)
        sys.exit(1)


def _last_words(console: Console, study: Study, store: str | None, *, as_json: bool) -> None:
    """The leaderboard, where things are, what to do next."""
    if as_json:
        print_json(study.to_dict())
        return
    option = store_option(store)
    print_study(console, study, top=5)
    best = best_trial(study.trials, study.spec.metric)
    console.print()
    lines = [f"store       {shown_store(store or default_store_url())}", f"files       {study.storage}"]
    lines.append(f"look closer tune show {study.name}{option}")
    if best is not None:
        lines.append(f"            tune trial {study.name} {best.number}{option} --log")
    budget = study.budget
    if budget.trials is not None:
        lines.append(f"go further  tune resume {study.name}{option} --trials {2 * budget.trials}")
    for line in lines:
        console.print(escape(line), soft_wrap=True, highlight=False)


def store_option(store: str | None) -> str:
    """For a command that is shown: a password in the store's URL is left out."""
    return f" --store {shlex.quote(shown_store(store))}" if store else ""
