"""A method of a comparison, "[scheduler+]sampler", and the study that it makes of a spec."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tuner.errors import UserMistake, did_you_mean, shown
from tuner.spec import ASHA, Hyperband, Median, NoScheduler, Sampler, StudySpec
from tuner.spec.parts import SamplerName, Scheduler

Type = Literal["promote", "stop"] | None

SCHEDULERS: dict[str, tuple[str, Type]] = {
    "none": ("none", None),
    "median": ("median", None),
    "asha": ("asha", "promote"),
    "asha-stop": ("asha", "stop"),
    "hyperband": ("hyperband", "promote"),
    "hyperband-stop": ("hyperband", "stop"),
}
"""The scheduler part of a method -> the scheduler's name and type."""

SAMPLERS: tuple[str, ...] = get_args(SamplerName)

MULTI_FIDELITY = {"auto": "asha"}
"""Samplers that are made to stop trials early -> the scheduler that they get where none is named."""


@dataclass(frozen=True, slots=True)
class Method:
    """A sampler and a scheduler, under the name that the person gave."""

    name: str
    scheduler: str
    """A key of SCHEDULERS."""
    sampler: str

    @property
    def slug(self) -> str:
        """The name as part of a study's: without the plus."""
        return self.name.replace("+", "-")

    @property
    def stops_early(self) -> bool:
        """Whether some of its trials end before max_resource."""
        return self.scheduler != "none"

    def apply(self, spec: StudySpec) -> StudySpec:
        """The spec with this sampler and scheduler; what they leave open is as in `spec`."""
        sampler = spec.sampler if spec.sampler.name == self.sampler else Sampler.model_validate({"name": self.sampler})
        return spec.model_copy(update={"sampler": sampler, "scheduler": self._scheduler(spec.scheduler)})

    def _scheduler(self, theirs: Scheduler) -> Scheduler:
        span = {"unit": theirs.unit, "min_resource": theirs.min_resource, "max_resource": theirs.max_resource}
        name, kind = SCHEDULERS[self.scheduler]
        if name == "none":
            return NoScheduler.model_validate(span)
        if name == "median":
            return theirs if isinstance(theirs, Median) else Median.model_validate(span)
        if isinstance(theirs, ASHA | Hyperband):
            span["reduction_factor"] = theirs.reduction_factor
        made = ASHA if name == "asha" else Hyperband
        return made.model_validate({**span, "type": kind})


def parse_method(text: str) -> Method:
    """The method that a person names: "tpe", "asha+tpe", "asha-stop+random", "none+gp".

    A sampler alone runs full trainings, whatever the spec's scheduler is, unless it is one of MULTI_FIDELITY. Raises
    UserMistake.
    """
    scheduler, plus, sampler = text.rpartition("+")
    if sampler not in SAMPLERS:
        raise UserMistake(
            f"--methods: {shown(text)} is no method: no such sampler: {shown(sampler)}",
            hint=f"A method is [scheduler+]sampler, such as asha+tpe. {did_you_mean(sampler, SAMPLERS)}",
        )
    if plus and scheduler not in SCHEDULERS:
        raise UserMistake(
            f"--methods: {shown(text)} is no method: no such scheduler: {shown(scheduler)}",
            hint=did_you_mean(scheduler, SCHEDULERS),
        )
    return Method(text, scheduler if plus else MULTI_FIDELITY.get(sampler, "none"), sampler)


def parse_methods(names: Iterable[str]) -> tuple[Method, ...]:
    """Methods, each of them another one. Raises UserMistake."""
    methods = tuple(parse_method(name.strip()) for name in names if name.strip())
    if not methods:
        raise UserMistake("--methods: nothing to compare", hint="For example: --methods grid,random,tpe,asha+tpe.")
    _refuse_the_same(methods)
    return methods


def check_methods(methods: Sequence[Method], spec: StudySpec) -> None:
    """Raise UserMistake for a method that stops trials early where there is nothing to stop."""
    span = spec.scheduler
    for method in methods:
        if method.stops_early and span.min_resource == span.max_resource:
            raise UserMistake(
                f"--methods: {method.name} stops trials before max_resource, and a trial is one stretch from "
                f"{span.unit} 1 to {span.max_resource} (scheduler.min_resource = max_resource)",
                hint=f"Compare {method.sampler} alone, or set a larger --set scheduler.max_resource.",
            )


def _refuse_the_same(methods: Sequence[Method]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for method in methods:
        key = (method.scheduler, method.sampler)
        if key in seen:
            twice = f"{method.name} is listed twice" if seen[key] == method.name else f"{seen[key]} is {method.name}"
            raise UserMistake(f"--methods: {twice}", hint="List each method once.")
        seen[key] = method.name
