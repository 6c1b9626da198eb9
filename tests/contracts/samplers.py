"""What every Sampler must do, ours or a user's: `check_sampler(make)` runs the whole of it.

`make(space, seed)` gives a fresh sampler; it must be a module-level function (or a functools.partial of one), because
one check calls it in another process.
"""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
from collections.abc import Callable, Sequence

from tuner.records import Config
from tuner.search import Observation, Sampler
from tuner.search.keys import config_key
from tuner.space import Choice, Float, Int, SearchSpace

MakeSampler = Callable[[SearchSpace, int], Sampler]

SPACES = {
    "mixed": SearchSpace(
        {
            "optimizer": Choice(("sgd", "adamw", None)),
            "lr": Float(1e-5, 1.0, log=True),
            "momentum": Float(0.0, 0.99, when={"optimizer": ("sgd",)}),
            "nesterov": Choice((True, False), when={"optimizer": ("sgd",)}),
            "clip_norm": Float(0.1, 10.0, log=True, none=True),
            "layers": Int(1, 4),
            "width": Int(8, 512, log=True),
            "dropout": Float(0.0, 0.5, step=0.1),
            "batch": Choice((32, 64.5, "auto", True, 1)),
        },
        {"schedule": "cosine"},
    ),
    "choices": SearchSpace(
        {"a": Choice((1, 2, 3)), "b": Choice((True, "x")), "only": Choice(("one",)), "c": Int(0, 4, step=2, none=True)}
    ),
    "line": SearchSpace({"x": Float(-1.0, 1.0)}),
}

HISTORIES = ("none", "finished", "rungs", "failures", "all failed", "equal", "huge", "infinite", "open")


def loss_of(config: Config) -> float:
    """Any fixed, uneven function of a configuration, in [0, 1)."""
    text = json.dumps(config, sort_keys=True, default=str)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big") / 2**48


def observe(number: int, config: Config, kind: str) -> Observation:
    """What could have become of a trial, in a study of the given kind."""
    loss = loss_of(config)
    match kind:
        case "rungs":
            losses = {rung: loss + 1 / rung for rung in (1, 3, 9) if number % rung == 0}
            return Observation(number, config, losses, open=number % 4 == 0)
        case "failures" if number % 2:
            return Observation(number, config, {1: loss}, failed=True)
        case "all failed":
            return Observation(number, config, {9: math.inf}, failed=True)
        case "equal":
            return Observation(number, config, {9: 0.0})
        case "huge":
            return Observation(number, config, {9: 1e18 * loss if number % 3 else -1e300})
        case "infinite":
            return Observation(number, config, {1: loss, 9: math.inf if number % 2 else loss})
        case "open" if number % 2:
            return Observation(number, config, open=True)
    return Observation(number, config, {9: loss})


def history_of(make: MakeSampler, space: SearchSpace, kind: str, length: int = 14) -> list[Observation]:
    """A history whose configurations the sampler itself proposed, a few at a time."""
    if kind == "none":
        return []
    sampler, history = make(space, 7), list[Observation]()
    while len(history) < length:
        proposals = sampler.ask(history, len(history), min(5, length - len(history)))
        if not proposals:
            break
        history += [observe(len(history) + i, config, kind) for i, config in enumerate(proposals)]
    return history


def check_proposals(make: MakeSampler, space: SearchSpace, kind: str) -> None:
    """They lie in the space, hold plain JSON scalars, are as many as asked for, and none is open or proposed twice."""
    history = history_of(make, space, kind)
    proposals = make(space, 0).ask(history, len(history), 4)
    exhausted = make(space, 0).size() is not None
    assert len(proposals) <= 4
    assert len(proposals) == 4 or exhausted, f"only {len(proposals)} of 4, and size() says there is no end"
    for config in proposals:
        space.check(config)
        assert all(type(value) in (int, float, bool, str, type(None)) for value in config.values()), config
        assert json.loads(json.dumps(config, allow_nan=False)) == dict(config)
    taken = [config_key(space, seen.config) for seen in history if seen.open]
    keys = [config_key(space, config) for config in proposals]
    assert len({*keys}) == len(keys), "a configuration is proposed twice in one ask"
    assert not {*keys} & {*taken}, "an open trial's configuration is proposed again"


def check_determinism(make: MakeSampler, space: SearchSpace, kind: str) -> None:
    """The same arguments give the same proposals: asked again, of a fresh sampler, after other questions."""
    history = history_of(make, space, kind)
    sampler = make(space, 0)
    once = sampler.ask(history, len(history), 2)
    assert sampler.ask(history, len(history), 2) == once, "asking changed the answer"
    other = make(space, 0)
    other.ask([], 0, 1)
    other.ask(history[: len(history) // 2], len(history) // 2, 1)
    assert other.ask(history, len(history), 2) == once, "an earlier question changed the answer"
    copied = [Observation(o.number, dict(o.config), dict(o.losses), o.open, o.failed) for o in history]
    assert make(space, 0).ask(copied, len(history), 2) == once, "it depends on the identity of its arguments"


def check_batches(make: MakeSampler, space: SearchSpace, *, singly: bool = True) -> None:
    """A shorter ask gives the beginning of a longer one; an ask of none proposes nothing. With `singly`, one ask of
    three is three asks of one whose trials are open: a sampler may share its work among them, and then is without.
    """
    history = history_of(make, space, "finished")
    batch = make(space, 0).ask(history, len(history), 6)
    for count in range(6):
        assert make(space, 0).ask(history, len(history), count) == batch[:count]
    seen = list(history)
    for config in batch[:3] if singly else ():
        assert make(space, 0).ask(seen, len(seen), 1) == [config]
        seen.append(Observation(len(seen), config, open=True))


def check_opinions(make: MakeSampler, space: SearchSpace, kind: str) -> None:
    """Who should go on is one of those asked about, or nobody; the answer depends on the arguments alone."""
    history = history_of(make, space, kind)
    paused = {seen.number for seen in history if seen.open and seen.losses}
    sampler = make(space, 0)
    first = sampler.promising(history, paused)
    assert first is None or first in paused
    assert sampler.promising(history, sorted(paused, reverse=True)) == first, "the order of the numbers counts"
    sampler.ask(history, len(history), 1)
    assert sampler.promising(history, paused) == first, "asking changed the answer"
    assert make(space, 0).promising(history, paused) == first, "an earlier question changed the answer"
    assert sampler.promising(history, set()) is None


def check_seeds(make: MakeSampler, space: SearchSpace) -> None:
    """Another seed, other proposals."""
    assert make(space, 0).ask([], 0, 6) != make(space, 1).ask([], 0, 6)


def check_resume(make: MakeSampler, space: SearchSpace) -> None:
    """A study taken up by a fresh sampler at every step goes the way of one that was never interrupted."""

    def study(samplers: Callable[[], Sampler]) -> list[Config]:
        history: list[Observation] = []
        while len(history) < 15 and (proposals := samplers().ask(history, len(history), 1)):
            history.append(observe(len(history), proposals[0], "finished"))
        return [seen.config for seen in history]

    lasting = make(space, 3)
    assert study(lambda: lasting) == study(lambda: make(space, 3))


def check_exhaustion(make: MakeSampler, space: SearchSpace) -> None:
    """A sampler with a size proposes that many and then nothing; one without never ends, and repeats nothing before the
    space is used up."""
    size = make(space, 0).size()
    limit = size if size is not None else _n_points(space)
    if limit is None or limit > 200:
        return
    sampler, history = make(space, 0), list[Observation]()
    while len(history) < limit:
        proposals = sampler.ask(history, len(history), min(7, limit - len(history)))
        assert proposals, f"nothing more after {len(history)} of {limit}"
        history += [Observation(len(history) + i, config, open=True) for i, config in enumerate(proposals)]
    assert len({config_key(space, seen.config) for seen in history}) == limit
    assert len(sampler.ask(history, limit, 2)) == (0 if size is not None else 2)


def check_other_process(make: MakeSampler, space: SearchSpace, kind: str = "rungs") -> None:
    """A fresh interpreter, with its own hash seed, proposes the same."""
    history = history_of(make, space, kind)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        theirs = pool.apply(_ask, (make, space, history))
    assert theirs == _ask(make, space, history)


def check_sampler(make: MakeSampler, *, singly: bool = True) -> None:
    """All of the above, on all of `SPACES`: for a sampler of your own. `singly`: see `check_batches`."""
    for space in SPACES.values():
        for kind in HISTORIES:
            check_proposals(make, space, kind)
            check_determinism(make, space, kind)
            check_opinions(make, space, kind)
        check_batches(make, space, singly=singly)
        check_seeds(make, space)
        check_resume(make, space)
        check_exhaustion(make, space)
    check_other_process(make, SPACES["mixed"])


def _ask(make: MakeSampler, space: SearchSpace, history: Sequence[Observation]) -> list[Config]:
    return make(space, 11).ask(history, len(history), 3)


def _n_points(space: SearchSpace) -> int | None:
    return space.size() if all(axis.when is None for axis in space.values()) else None
