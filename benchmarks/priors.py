"""What a prior, or the memory of another study, gives where it is right, and costs where it is wrong.

    python benchmarks/priors.py [--rounds 24] [--record]

Studies of the synthetic curves (three axes, nine epochs, noise of 0.01 on every report), one worker; a round is a seed.
Counted is the regret after as many epochs as 8, 16 and 32 whole trainings: how much worse, at epoch 9 and without the
noise, the study's best configuration is than the best there is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from record import Record, arguments, take_turns

from objectives.synthetic import expected_loss, optimum
from tuner.control import Nothing, StudyController
from tuner.records import Config, Decision, Report, Segment
from tuner.schedule import make_scheduler
from tuner.search import make_sampler
from tuner.seeds import derive_seed
from tuner.spec import StudySpec

EPOCHS, NOISE = 9, 0.01
READINGS = (8, 16, 32)
SPACE: dict[str, dict[str, Any]] = {
    "lr": {"float": [1e-5, 1.0], "log": True},
    "weight_decay": {"float": [1e-6, 0.1], "log": True},
    "speed": {"float": [0.1, 2.0]},
}
RIGHT = {"lr": 2e-2, "weight_decay": 5e-5, "speed": 1.0}
WRONG = {"lr": 3e-5, "weight_decay": 5e-2, "speed": 0.2}
METHODS = {"random": ("random", "none"), "tpe": ("tpe", "none"), "asha+tpe": ("tpe", "asha")}
BELIEFS = ("nothing", "right", "right, sure", "wrong", "wrong, sure", "right memory", "wrong memory")


def main() -> None:
    options = arguments(__doc__, rounds=24).parse_args()
    record = Record("priors", "Priors and memory, right and wrong", packages=["optuna", "numpy"])
    record.note(" ".join(__doc__.split("\n\n")[2].split()))
    record.note(
        f"Right: {RIGHT}. Wrong: {WRONG}. The best there is: {optimum(EPOCHS)}. A memory is of 30 trials, with four "
        "configurations of lr and weight_decay around the same places."
    )
    for method in METHODS:
        seeds = dict.fromkeys(BELIEFS, 0)
        contestants = {belief: partial(next_study, method, belief, seeds) for belief in BELIEFS}
        found = take_turns(contestants, options.rounds)
        for index, reading in enumerate(READINGS):
            rows = {belief: [1000 * regrets[index] for regrets in found[belief]] for belief in BELIEFS}
            record.table(f"{method}: regret / 1000 at {reading} trainings", rows)
    record.publish(write=options.record)


def next_study(method: str, belief: str, seeds: dict[str, int]) -> list[float]:
    """The regrets of the study with the contestant's next seed."""
    seeds[belief] += 1
    return study(spec_of(method, belief, seeds[belief]))


def spec_of(method: str, belief: str, seed: int) -> StudySpec:
    """The study; its budget is the last reading."""
    sampler, scheduler = METHODS[method]
    where = RIGHT if belief.startswith("right") else WRONG
    space, memory = SPACE, []
    if "memory" in belief:
        near = [{"lr": where["lr"] * a, "weight_decay": where["weight_decay"] / a} for a in (1.0, 1.5, 0.7, 1.9)]
        memory = [{"study": "old", "trials": 30, "configs": near}]
    elif belief != "nothing":
        sure = "high" if belief.endswith("sure") else "medium"
        space = {name: {**axis, "prior": {"value": where[name], "sure": sure}} for name, axis in SPACE.items()}
    data = {"study": "s", "objective": "a:b", "metric": {"name": "loss"}, "seed": seed, "space": space}
    data |= {"sampler": {"name": sampler}, "scheduler": {"name": scheduler, "max_resource": EPOCHS}}
    data |= {"budget": {"trials": None, "epochs": EPOCHS * max(READINGS)}}
    return StudySpec.from_dict(data | {"memory": memory, "warm_start": ["old"] if memory else []})


def study(spec: StudySpec) -> list[float]:
    """The regret at each reading."""
    controller = StudyController(spec, make_sampler(spec), make_scheduler(spec.scheduler))
    regrets: list[float] = []
    while not isinstance(segments := controller.next_segments(["w"]), Nothing):
        for resource in range(segments[0].start + 1, segments[0].until + 1):
            report = Report(segments[0].trial, segments[0].index, resource, {"loss": loss(segments[0], resource)}, 1.0)
            decision = controller.on_reports([report])[0]
            if len(regrets) < len(READINGS) and controller.units >= EPOCHS * READINGS[len(regrets)]:
                regrets.append(regret(controller))
            if decision is not Decision.CONTINUE:
                break
    return regrets


def loss(segment: Segment, resource: int) -> float:
    """What a trial reports; a trial starts again from 0, as it keeps no checkpoints, and is told again what it was."""
    noise = (
        derive_seed(segment.seed, "noise", resource) / 2**63 + derive_seed(segment.seed, "more", resource) / 2**63 - 1
    )
    return expected_loss(segment.config, resource) + NOISE * 6**0.5 * noise


def regret(controller: StudyController) -> float:
    """Of the study's best trial so far: the best of those that came furthest."""
    tried = [(-trial.resource, trial.loss, trial.number) for trial in controller.trials if trial.loss is not None]
    best: Config = controller.trials[min(tried)[-1]].config
    return expected_loss(best, EPOCHS) - expected_loss(optimum(EPOCHS), EPOCHS)


if __name__ == "__main__":
    main()
