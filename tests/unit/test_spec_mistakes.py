"""Every mistake in a spec: the path, the value given and the remedy are in the message."""

import math

import pytest

from tuner.errors import SpecError
from tuner.spec import ASHA, Budget, Metric, Resources, Sampler, StudySpec

GOOD = {
    "study": "s",
    "objective": "m:f",
    "metric": {"name": "val_loss"},
    "space": {"lr": {"float": [1e-5, 1], "log": True}, "kind": {"choice": ["a", "b"]}},
}

MEMORY = {"study": "old", "trials": 9, "configs": [{"lr": 0.1}]}

MISTAKES = [
    ({"metrics": {}}, "metrics", "got 'metrics'", "Did you mean 'metric'?"),
    ({"nonsense": 1}, "nonsense", "got 'nonsense'", "Allowed: study, objective"),
    ({"budget": {"trails": 3}}, "budget.trails", "got 'trails'", "Did you mean 'trials'?"),
    ({"sampler": {"name": "tpee"}}, "sampler.name", "got 'tpee'", "Did you mean 'tpe'?"),
    ({"sampler": {"name": "TPE"}}, "sampler.name", "got 'TPE'", "Did you mean 'tpe'?"),
    ({"scheduler": {"name": "ahsa"}}, "scheduler.name", "got 'ahsa'", "Did you mean 'asha'?"),
    ({"metric": {"name": "x", "direction": "minimise"}}, "metric.direction", "'minimise'", "Did you mean 'minimize'?"),
    ({"executor": "rya"}, "executor", "got 'rya'", "Did you mean 'ray'?"),
    ({"parallel": "atuo"}, "parallel", "got 'atuo'", "Did you mean 'auto'?"),
    ({"parallel": 0}, "parallel", "of at least 1 or 'auto', got 0", "Workers"),
    ({"parallel": True}, "parallel", "got True", "whole number"),
    ({"metric": "val_loss"}, "metric", "got 'val_loss'", "Write {name: val_loss}"),
    ({"metric": {}}, "metric.name", "is missing, got no keys", "such as val_loss"),
    ({"metric": {"name": ""}}, "metric.name", "got ''", "not empty"),
    ({"sampler": "grid"}, "sampler", "got 'grid'", "Write {name: grid}"),
    ({"scheduler": "asha"}, "scheduler", "got 'asha'", "Write {name: asha}"),
    ({"budget": 3}, "budget", "got 3", "Keys: trials, minutes"),
    ({"budget": {"trials": "64"}}, "budget.trials", "got '64'", "without quotes"),
    ({"budget": {"trials": 2.5}}, "budget.trials", "got 2.5", "a whole number"),
    ({"budget": {"trials": 10**16}}, "budget.trials", "got 10000000000000000", "of at most 1000000000000000"),
    ({"budget": {"minutes": math.inf}}, "budget.minutes", "got inf", "a finite number above 0"),
    ({"budget": {"minutes": math.nan}}, "budget.minutes", "got nan", "a finite number above 0"),
    (
        {"budget": {"trials": None}},
        "budget",
        "got trials, minutes and epochs all None",
        "Set trials, minutes or epochs",
    ),
    ({"budget": {"until": {"loss": 1}}}, "budget.until.loss", "unknown key", "Allowed: value, no_improvement"),
    ({"budget": {"until": 0.1}}, "budget.until", "got 0.1", "Keys: value"),
    ({"budget": {"until": {"value": "low"}}}, "budget.until.value", "got 'low'", "as good as this"),
    ({"budget": {"until": {"value": math.nan}}}, "budget.until.value", "got nan", "as good as this"),
    ({"budget": {"until": {"no_improvement": 0}}}, "budget.until.no_improvement", "got 0", "in a row"),
    ({"budget": {"until": {"expected_improvement": 0}}}, "budget.until.expected_improvement", "got 0", "noise"),
    (
        {"budget": {"until": {"expected_improvement": "noise"}}, "scheduler": {"max_resource": 3}},
        "budget.until.expected_improvement",
        "four reports of a trial",
        "as a number",
    ),
    (
        {"budget": {"until": {"expected_improvement": "noise"}}, "metric": {"name": "acc", "value": "best"}},
        "budget.until.expected_improvement",
        "value: best hides it",
        "how much acc differs between seeds",
    ),
    ({"scheduler": {"min_resource": 10}}, "scheduler.min_resource", "got 10", "at most 9, or raise max_resource"),
    ({"scheduler": {"max_resource": 0}}, "scheduler.max_resource", "got 0", "at least 1"),
    ({"scheduler": {"reduction_factor": 1}}, "scheduler.reduction_factor", "got 1", "at least 2"),
    (
        {"scheduler": {"name": "none", "reduction_factor": 3}},
        "scheduler.reduction_factor",
        "unknown key",
        "min_resource",
    ),
    ({"sampler": {"points": {"lr": 3}}}, "sampler.points", "got {'lr': 3}", "use grid"),
    ({"sampler": {"name": "grid", "points": {"rl": 3}}}, "sampler.points.rl", "'rl'", "Allowed: lr, kind"),
    ({"sampler": {"name": "grid", "points": {"lr": 0}}}, "sampler.points.lr", "got 0", "at least 1"),
    ({"sampler": {"name": "grid", "points": {"kind": 3}}}, "sampler.points.kind", "got 3", "all of its values"),
    ({"resources": {"gpus": 1.5}}, "resources.gpus", "got 1.5", "Write 2"),
    ({"resources": {"gpus": -1}}, "resources.gpus", "got -1", "at least 0 or 'auto'"),
    ({"resources": {"cpus": 0}}, "resources.cpus", "got 0", "above 0"),
    ({"resources": {"cpus": 2.5}}, "resources.cpus", "got 2.5", "Write 3"),
    ({"resources": {"isolate": "yes"}}, "resources.isolate", "got 'yes'", "true or false"),
    ({"failures": {"retries": -1}}, "failures.retries", "got -1", "at least 0"),
    ({"failures": {"timeout": -1}}, "failures.timeout", "of at least 0 or 'stop' or null, got -1", "silent or stuck"),
    ({"failures": {"exception": "sotp"}}, "failures.exception", "got 'sotp'", "Did you mean 'stop'?"),
    ({"failures": {"non_finite": 2}}, "failures.non_finite", "must be 'stop' or null, got 2", "never retried"),
    ({"failures": {"time_out": 2}}, "failures.time_out", "got 'time_out'", "Did you mean 'timeout'?"),
    ({"timeouts": {"report": 0}}, "timeouts.report", "got 0", "above 0 or null"),
    ({"study": "a/b"}, "study", "'a/b'", "Letters, digits"),
    ({"study": 5}, "study", "got 5", 'Quote it: "5"'),
    ({"seed": -1}, "seed", "got -1", "at least 0"),
    ({"seed": 2**63}, "seed", "got 9223372036854775808", "below 9223372036854775808"),
    ({"storage": None}, "storage", "got None", "not empty"),
    ({"space": {}}, "space", "got {}", "For example"),
    ({"space": {"lr": 5}}, "space.lr", "got 5", "`fixed`"),
    ({"space": {"lr": {"float": [1, 0]}}}, "space.lr.float", "[1.0, 0.0]", "Write [0.0, 1.0]"),
    ({"space": {"lr": {"float": [0, 1], "log": True}}}, "space.lr.float", "got 0.0", "drop `log`"),
    ({"space": {"lr": {"float": [0, 1], "step": 0.3}}}, "space.lr.step", "0.3 does not", "0.9 would fit"),
    ({"space": {"lr": {"choice": []}}}, "space.lr.choice", "got []", "at least one"),
    ({"space": {"a": {"int": [0, 1], "when": {"b": 1}}}}, "space.a.when.b", "'b'", "Nothing is allowed"),
    ({"fixed": {"lr": 3}}, "space.lr", "also under fixed (3)", "Keep one"),
    ({"fixed": {"x": [1]}}, "fixed.x", "[1] is a list", "Name the others"),
    ({"fixed": {"x": math.nan}}, "fixed.x", "got nan", "finite"),
    ({"fixed": [1]}, "fixed", "got [1]", "For example"),
    ({"enqueue": {"lr": 1}}, "enqueue", "got {'lr': 1}", "For example"),
    ({"enqueue": [{"lr": 2, "kind": "a"}]}, "enqueue[0].lr", "2 is not", "from 1e-05 to 1.0"),
    ({"enqueue": [{"lr": 1}]}, "enqueue[0].kind", "no value", "every axis"),
    ({"enqueue": [3]}, "enqueue[0]", "got 3", "For example"),
    ({"warm_start": "other"}, "warm_start", "got 'other'", "learn from"),
    ({"warm_start": ["a", "b", "a"]}, "warm_start[2]", "'a' is listed twice", "once"),
    ({"memory": [MEMORY]}, "memory", "got ('old',)", "Leave it out"),
    ({"warm_start": ["old"], "memory": [{**MEMORY, "trials": 0}]}, "memory[0].trials", "got 0", "the best"),
    (
        {"warm_start": ["old"], "memory": [{**MEMORY, "configs": []}]},
        "memory[0].configs",
        "got []",
        "Leave the study out",
    ),
    (
        {"warm_start": ["old"], "memory": [{**MEMORY, "configs": [{"lr": 2.0}]}]},
        "memory[0].configs[0].lr",
        "2.0 is no value",
        "Leave it out",
    ),
]


@pytest.mark.parametrize(("change", "path", "given", "remedy"), MISTAKES, ids=lambda part: str(part)[:50])
def test_a_mistake_is_explained(change, path, given, remedy):
    with pytest.raises(SpecError) as caught:
        StudySpec.from_dict({**GOOD, **change})
    _explained(caught.value, path, given, remedy)


def _explained(error, path, given, remedy):
    assert error.path == path
    assert error.exit_code == 2
    text = str(error)
    assert given in text
    assert remedy in text
    for jargon in ("pydantic", "Input should", "type=", "constrained", "literal", "valid dictionary"):
        assert jargon not in text


@pytest.mark.parametrize("key", ["study", "objective", "metric", "space"])
def test_a_missing_key(key):
    with pytest.raises(SpecError) as caught:
        StudySpec.from_dict({name: value for name, value in GOOD.items() if name != key})
    _explained(
        caught.value, key, "is missing, got ", StudySpec.model_fields["axes" if key == "space" else key].description
    )


def test_what_is_no_mapping():
    with pytest.raises(SpecError, match=r"must be a mapping, got \[1\]"):
        StudySpec.from_dict([1])


@pytest.mark.parametrize(
    ("make", "path", "given", "remedy"),
    [
        (lambda: ASHA(max_resource=0), "max_resource", "got 0", "at least 1"),
        (lambda: ASHA(min_resource=3, max_resource=2), "min_resource", "got 3", "raise max_resource"),
        (lambda: ASHA(factor=2), "factor", "got 'factor'", "Did you mean 'reduction_factor'?"),
        (lambda: Budget(trials=None), "", "all None", "Set trials"),
        (lambda: Sampler(name="gird"), "name", "got 'gird'", "Did you mean 'grid'?"),
        (lambda: Metric(), "name", "is missing", "val_loss"),
        (lambda: Resources(gpus="atuo"), "gpus", "got 'atuo'", "Did you mean 'auto'?"),
    ],
)
def test_a_part_made_in_python_says_the_same(make, path, given, remedy):
    with pytest.raises(SpecError) as caught:
        make()
    _explained(caught.value, path, given, remedy)
