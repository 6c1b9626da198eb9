"""Hypothesis strategies for spaces, configurations and specs.

    from strategies import configs, search_spaces, study_specs

They are made of what a person might write, and of what only a machine would: denormals, ranges over all floats,
conditions on conditions, names with dots and spaces.
"""

import math

from hypothesis import assume
from hypothesis import strategies as st

from tuner.errors import SpecError
from tuner.space import Choice, Float, Int, SearchSpace
from tuner.spec import (
    ASHA,
    Budget,
    CheckpointPolicy,
    Failures,
    Hyperband,
    Median,
    Metric,
    NoScheduler,
    Resources,
    Sampler,
    StudySpec,
    Timeouts,
    Until,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=5e-324, allow_infinity=False)
whole = st.integers(-(2**63) + 1, 2**63 - 1)
names = st.one_of(
    st.sampled_from(["lr", "batch_size", "weight_decay", "optimizer", "layers", "on", "null", "1", "a.b", "ß x"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
)
scalars = st.one_of(
    st.none(), st.booleans(), whole, finite, st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
units = st.floats(0, 1, exclude_max=True)


@st.composite
def floats(draw, when=None):
    """A Float: plain, log, or with a step."""
    kind = draw(st.sampled_from(["plain", "log", "step"]))
    if kind == "step":
        low, step = draw(st.sampled_from([0.0, -1.0, 0.1, 1e-3, 1e6])), draw(st.sampled_from([0.1, 0.25, 1e-3, 7.0]))
        high, rest = low + step * draw(st.integers(1, 50)), {"step": step}
    else:
        low, high = sorted(draw(st.tuples(*[positive if kind == "log" else finite] * 2)))
        assume(low < high)
        rest = {"log": kind == "log"}
    axis = Float(low, high, none=draw(st.booleans()), when=when, **rest)
    prior = draw(st.none() | units.map(axis.from_unit))
    return Float(low, high, none=axis.none, when=when, prior=prior, sure=draw(_sure(prior)), **rest)


def _sure(prior):
    return st.just("medium") if prior is None else st.sampled_from(["low", "medium", "high"])


@st.composite
def ints(draw, when=None):
    """An Int: plain, log, or with a step."""
    kind = draw(st.sampled_from(["plain", "log", "step"]))
    low = draw(st.integers(1, 2**62) if kind == "log" else st.integers(-(2**62), 2**62) | st.integers(-9, 9))
    step = draw(st.integers(1, 50)) if kind == "step" else 1
    high = low + step * draw(st.integers(1, 20) | st.integers(1, 2**55))
    return Int(low, high, log=kind == "log", step=step, none=draw(st.booleans()), when=when)


@st.composite
def choices(draw, when=None):
    """A Choice of up to five values."""
    values = draw(st.lists(scalars, min_size=1, max_size=5, unique_by=lambda value: (isinstance(value, bool), value)))
    prior = draw(st.none() | st.sampled_from(values))
    return Choice(tuple(values), when=when, prior=prior, sure=draw(_sure(prior)))


def axes(when=None):
    """An axis of any kind."""
    return st.one_of(floats(when), ints(when), choices(when))


@st.composite
def search_spaces(draw, max_axes=5, conditions=True):
    """A SearchSpace with fixed values, and with conditions on those and on earlier axes."""
    space_names = draw(st.lists(names, min_size=1, max_size=max_axes, unique=True))
    fixed = draw(st.dictionaries(names.filter(lambda name: name not in space_names), scalars, max_size=2))
    made = {}
    for name in space_names:
        when = None
        parents = [*made, *fixed]
        if conditions and parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            possible = made[parent].from_unit(draw(units)) if parent in made else fixed[parent]
            when = {parent: (possible,)}
        made[name] = draw(axes(when))
    return SearchSpace(made, fixed)


@st.composite
def configs(draw, space):
    """A Config of `space`."""
    return space.from_unit(draw(st.lists(units, min_size=len(space), max_size=len(space))))


counts = st.integers(1, 1000)
policies = st.none() | st.integers(0, 5) | st.just("stop")


@st.composite
def schedulers(draw):
    """A scheduler's part of a spec."""
    low, high = sorted(draw(st.tuples(counts, counts)))
    common = {"unit": draw(st.sampled_from(["epoch", "step"])), "min_resource": low, "max_resource": high}
    kind = draw(st.sampled_from([NoScheduler, Median, ASHA, Hyperband]))
    if kind is Median:
        return Median(min_trials=draw(counts), **common)
    if kind is NoScheduler:
        return NoScheduler(**common)
    return kind(type=draw(st.sampled_from(["promote", "stop"])), reduction_factor=draw(st.integers(2, 9)), **common)


@st.composite
def samplers(draw, space):
    """A sampler's part of a spec on `space`."""
    name = draw(st.sampled_from(["random", "grid", "sobol", "tpe", "gp", "cmaes"]))
    thin = [axis for axis in space if not isinstance(space[axis], Choice)]
    points = draw(st.dictionaries(st.sampled_from(thin), st.integers(1, 9))) if name == "grid" and thin else {}
    return Sampler(name=name, points=points)


goals = st.builds(
    Until,
    value=st.none() | finite,
    no_improvement=st.none() | counts,
    expected_improvement=st.none() | st.floats(1e-9, 1e9),
)


@st.composite
def memories(draw, space):
    """What a spec on `space` remembers of other studies."""
    studies = draw(st.lists(st.sampled_from(["old", "older", "oldest"]), max_size=2, unique=True))
    memory = []
    for study in studies:
        config = draw(configs(space))
        common = {name: config[name] for name in space if name in config}
        memory.append({"study": study, "trials": draw(counts), "configs": [common]})
    return {"warm_start": studies, "memory": draw(st.sampled_from([memory, []]))}


@st.composite
def study_specs(draw, max_axes=4):
    """A StudySpec, any of its parts away from the defaults."""
    space = draw(search_spaces(max_axes))
    seconds = st.none() | st.floats(1e-3, 1e9)
    try:
        return StudySpec(
            study=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)),
            objective=draw(st.sampled_from(["objectives.mnist:Mnist", "here:objective"])),
            metric=Metric(
                name=draw(st.sampled_from(["val_loss", "ß"])),
                direction=draw(st.sampled_from(["minimize", "maximize"])),
                value=draw(st.sampled_from(["last", "best"])),
            ),
            seed=draw(st.integers(0, 2**63 - 1)),
            space=space.axes,
            fixed=space.fixed,
            sampler=draw(samplers(space)),
            scheduler=draw(schedulers()),
            budget=Budget(
                trials=draw(counts), minutes=draw(seconds), epochs=draw(st.none() | counts), until=draw(goals)
            ),
            parallel=draw(st.just("auto") | counts),
            resources=Resources(
                cpus=draw(st.sampled_from([0.5, 1, 4])),
                gpus=draw(st.sampled_from(["auto", 0, 0.25, 2])),
                isolate=draw(st.booleans()),
            ),
            executor=draw(st.sampled_from(["auto", "local", "ray"])),
            checkpoint=CheckpointPolicy(every=draw(counts), keep=draw(counts), best=draw(st.booleans())),
            failures=Failures(
                retries=draw(st.integers(0, 5)),
                give_up_after=draw(counts),
                timeout=draw(policies),
                exception=draw(policies),
            ),
            timeouts=Timeouts(report=draw(seconds), grace=draw(seconds)),
            storage=draw(st.sampled_from(["runs", "s3://bucket/runs"])),
            enqueue=draw(st.lists(configs(space), max_size=2)),
            **draw(memories(space)),
        )
    except SpecError as error:
        raise AssertionError(f"the strategy made what the spec refuses: {error}") from error


json_like = st.recursive(
    st.one_of(scalars, st.just(math.nan), st.just(math.inf), st.just(10**30), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
"""Whatever a YAML or JSON file may hold."""
