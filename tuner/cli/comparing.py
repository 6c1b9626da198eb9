"""`tune compare`: methods at an equal budget, from the first run to the verdict."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path

from rich.markup import escape

from tuner.analysis.compared import Comparison
from tuner.cli.comparison_display import ComparisonDisplay
from tuner.cli.comparison_tables import answered, outline, print_comparison
from tuner.cli.interrupting import INTERRUPTED, interruptible
from tuner.cli.reading import print_json
from tuner.cli.running import store_option
from tuner.cli.tables import console as terminal
from tuner.spec.load import load_spec
from tuner.store import open_store
from tuner.workflows import run as workflow
from tuner.workflows.comparing.compare import plan_of
from tuner.workflows.comparing.planning import notes
from tuner.workflows.comparing.workflow import Comparing, check_runnable, run


@interruptible()
def compare(
    path: Path,
    overrides: list[str],
    methods: str,
    repeats: int,
    store: str | None,
    *,
    replay: Path | None,
    workers: int | None,
    budget: str | None,
    name: str | None,
    executor: str | None,
    address: str | None,
    as_json: bool,
) -> None:
    """`tune compare`."""
    spec = load_spec(path, overrides)
    plan, was_there = plan_of(
        open_store(store, create=False),
        spec,
        methods.split(","),
        repeats,
        replay=replay,
        budget=budget,
        workers=workers,
        name=name,
    )
    how = Comparing(options=workflow.Options(executor=executor, address=address))
    console = terminal(stderr=as_json)
    with console.status("preparing: objective, data, workers"):
        check_runnable(plan, how)
    opened = open_store(store)
    if was_there:
        so_far = Comparison(opened, plan.name)
        console.print(f"going on with {escape(plan.name)}: {so_far.n_done} of {so_far.n_runs} runs so far")
    for line in [outline(plan, executor), *notes(plan)]:
        console.print(escape(line), soft_wrap=True, highlight=False)
    try:
        with (
            redirect_stdout(sys.stderr) if as_json else nullcontext(),  # an objective may print
            ComparisonDisplay(console, live=replay is None, quiet=as_json) as display,
        ):
            run(opened, plan, replace(how, watch=display.watch), display.tell)
    except KeyboardInterrupt:
        console.print("\ninterrupted; what was finished is saved. Go on with the same command.")
        sys.exit(INTERRUPTED)
    if display.distances:
        console.print(answered(display.distances), highlight=False)
    comparison = Comparison(opened, plan.name)
    if as_json:
        print_json(comparison.to_dict())
        return
    print_comparison(console, comparison)
    console.print()
    again = f"look again  tune show {plan.name}{store_option(store)}"
    console.print(escape(again), soft_wrap=True, highlight=False)
