"""`tune check` and `tune schema`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from rich.markup import escape

from tuner.cli.tables import axes_table, console, findings_table
from tuner.errors import UserMistake
from tuner.objective import load_objective
from tuner.search import make_sampler
from tuner.spec import StudySpec
from tuner.spec.load import load_spec
from tuner.spec.schema import schema
from tuner.training.findings import Verdict
from tuner.workflows import preflight
from tuner.workflows.fit import check_fit
from tuner.workflows.fusing import Unfused, unfused


def check(path: Path, overrides: list[str], *, import_objective: bool, as_json: bool) -> None:
    """Load a spec, and its objective unless told otherwise; say what was understood."""
    spec = load_spec(path, overrides)
    found = None
    if import_objective:
        objective = load_objective(spec.objective)
        check_fit(spec, objective)
        if getattr(objective, "__tuner_task__", False):
            wants_gpu = spec.resources.gpus != 0 and getattr(objective, "wants_gpu", False)
            found = list(unfused(spec, objective, gpus=float(wants_gpu)))
    points = make_sampler(spec).size()
    if as_json:
        keep_out = None if found is None else [dataclasses.asdict(one) for one in found]
        print(json.dumps({"ok": True, "spec": spec.to_dict(), "points": points, "unfused": keep_out}))
        return
    out = console()
    out.print(axes_table(spec))
    out.print(escape(plan(spec, points)))
    for line in [] if found is None else _about_lanes(found):
        out.print(escape(line), soft_wrap=True, highlight=False)
    where = "" if import_objective else " (the objective was not imported)"
    shown = escape(str(path))
    out.print(f"[green]{shown} is fine[/green]{where}. Run it: tune run {shown}", soft_wrap=True)


def _about_lanes(found: list[Unfused]) -> list[str]:
    """Whether the task's trials fuse, and if not, why and what to do."""
    if not found:
        return ["its trials fuse: executor: lanes trains many of them at once (docs/lanes.md)"]
    return ["its trials do not fuse, for executor: lanes", *(f"  {one}\n    {one.remedy}" for one in found)]


def check_deep(path: Path, overrides: list[str], *, import_objective: bool, as_json: bool) -> None:
    """Look into the task as well. Raises UserMistake if something there should be mended before a study is run."""
    if not import_objective:
        raise UserMistake("--deep imports the objective, and --no-import forbids it", hint="Leave one of them out.")
    spec = load_spec(path, overrides)
    objective = load_objective(spec.objective)
    check_fit(spec, objective)
    findings = preflight.check_deep(spec, objective)
    wrong = [finding for finding in findings if finding.verdict is Verdict.WRONG]
    if as_json:
        told = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"ok": not wrong, "spec": spec.to_dict(), "findings": told}))
    else:
        console().print(findings_table(findings))
    if wrong:
        named = ", ".join(finding.check for finding in wrong)
        raise UserMistake(f"{path}: {len(wrong)} of {len(findings)} checks went wrong: {named}", hint=wrong[0].remedy)
    if not as_json:
        console().print(escape(f"nothing is wrong with {path}. Run it: tune run {path}"), soft_wrap=True)


def plan(spec: StudySpec, points: int | None) -> str:
    """What a study is going to do, in a line."""
    budget = spec.budget
    limits = [
        f"{budget.trials} trials" if budget.trials else "",
        f"{budget.minutes:g} min" if budget.minutes else "",
        f"{budget.epochs} {spec.scheduler.unit}s in all" if budget.epochs else "",
        *goals(spec),
    ]
    scheduler = spec.scheduler
    kind = f", {scheduler.type}" if scheduler.name in ("asha", "hyperband") else ""
    grid = f" of {points} points" if points is not None else ""
    return (
        f"{spec.study}: {' or '.join(filter(None, limits))}; {spec.sampler.name}{grid}; "
        f"{scheduler.name}{kind} from {scheduler.min_resource} to {scheduler.max_resource} {scheduler.unit}s; "
        f"{spec.metric.direction} {spec.metric.name}"
    )


def goals(spec: StudySpec) -> list[str]:
    """What may end the study earlier, a few words each."""
    until, metric = spec.budget.until, spec.metric.name
    little = "the noise" if until.expected_improvement == "noise" else f"{until.expected_improvement}"
    return [
        f"{metric} {until.value:g}" if until.value is not None else "",
        f"{until.no_improvement} trials without an improvement" if until.no_improvement else "",
        f"an expected improvement below {little}" if until.expected_improvement else "",
    ]


def print_schema() -> None:
    """Print the JSON Schema of specs."""
    print(json.dumps(schema(), indent=2))
