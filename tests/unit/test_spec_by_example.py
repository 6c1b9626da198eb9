"""StudySpec by example: defaults, immutability, digests, the schema."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError

from tuner.space import Choice, Float, SearchSpace
from tuner.spec import ASHA, Hyperband, StudySpec, schema, with_overrides
from tuner.spec.parts import SCHEDULERS

GOOD = {
    "study": "s",
    "objective": "m:f",
    "metric": {"name": "val_loss"},
    "space": {"lr": {"float": [1e-5, 1], "log": True}, "kind": {"choice": ["a", "b"]}},
}


def spec(**changes):
    return StudySpec.from_dict({**GOOD, **changes})


def test_defaults_are_the_documented_ones():
    assert {key: value for key, value in spec().to_dict().items() if key not in GOOD} == {
        "seed": 0,
        "fixed": {},
        "sampler": {"name": "auto", "points": {}},
        "scheduler": {
            "name": "asha",
            "type": "promote",
            "unit": "epoch",
            "min_resource": 1,
            "max_resource": 9,
            "reduction_factor": 3,
        },
        "budget": {"trials": 64, "minutes": None, "epochs": None, "until": {}},
        "parallel": "auto",
        "resources": {"cpus": 1.0, "gpus": "auto", "isolate": False},
        "executor": "auto",
        "checkpoint": {"every": 1, "keep": 2, "best": True},
        "failures": {"retries": 1, "give_up_after": 5},
        "timeouts": {"report": 600.0},
        "storage": "runs",
        "enqueue": [],
        "warm_start": [],
    }


def test_a_default_written_out_changes_nothing():
    written = spec(
        resources={"cpus": 1}, timeouts={"report": 600}, scheduler={"max_resource": 9}, budget={"trials": 64}
    )
    assert written == spec()
    assert written.digest() == spec().digest()


def test_a_grace_period_is_of_the_spec_only_where_it_is_not_the_usual_one():
    """So that studies which were made before there was one keep their digest."""
    assert spec(timeouts={"grace": 60}).to_dict()["timeouts"] == {"report": 600.0}
    for grace in (5.0, None):
        given = spec(timeouts={"grace": grace})
        assert given.to_dict()["timeouts"] == {"report": 600.0, "grace": grace}
        assert StudySpec.from_dict(given.to_dict()).timeouts.grace == grace
        assert given.digest() != spec().digest()


def test_python_and_yaml_make_the_same_spec():
    space = {"lr": Float(1e-5, 1, log=True), "kind": Choice(["a", "b"])}
    assert StudySpec(study="s", objective="m:f", metric={"name": "val_loss"}, space=space) == spec()
    assert StudySpec(study="s", objective="m:f", metric={"name": "val_loss"}, space=SearchSpace(space)) == spec()


def test_a_scheduler_is_found_by_its_name():
    assert spec(scheduler={"max_resource": 27}).scheduler == ASHA(max_resource=27)
    assert spec(scheduler=Hyperband()).scheduler == Hyperband()
    for name, kind in SCHEDULERS.items():
        assert type(spec(scheduler={"name": name}).scheduler) is kind


def test_nothing_in_a_spec_can_change():
    made = spec(fixed={"o": 1}, sampler={"name": "grid", "points": {"lr": 3}}, enqueue=[{"lr": 1, "kind": "a"}])
    with pytest.raises(ValidationError, match="frozen"):
        made.seed = 3
    for mapping in (made.axes, made.fixed, made.sampler.points, made.enqueue[0], made.space.axes):
        with pytest.raises(TypeError, match="read-only"):
            mapping["lr"] = 1
    assert len({made, StudySpec.from_dict(made.to_dict())}) == 1


def test_a_callers_dict_is_not_kept():
    fixed = {"o": 1}
    made = spec(fixed=fixed)
    fixed["o"] = 2
    assert made.fixed == {"o": 1}


def test_the_digest_names_the_content():
    axes = GOOD["space"]
    assert spec(space=dict(reversed(axes.items()))).digest() != spec().digest()
    assert spec(fixed={"a": 1, "b": 2}).digest() == spec(fixed={"b": 2, "a": 1}).digest()
    assert spec(fixed={"a": 1}) != spec(fixed={"a": True})
    assert spec(seed=1) != spec()


def test_enqueued_configurations_are_completed():
    made = spec(fixed={"o": "x"}, enqueue=[{"kind": "a", "lr": 1}])
    assert list(made.enqueue[0].items()) == [("o", "x"), ("lr", 1.0), ("kind", "a")]


def test_shares_and_whole_devices():
    for gpus in (0, 0.25, 1, 2, "auto"):
        assert spec(resources={"gpus": gpus}).resources.gpus == gpus


def test_overrides_on_a_spec():
    changed = with_overrides(spec(), ["budget.trials=128", "space.lr.float=[1e-4, 1]"])
    assert changed.budget.trials == 128
    assert changed.axes["lr"].low == 1e-4


def test_the_schema_describes_every_field():
    document = schema()
    for name, model in {"": document, **document["$defs"]}.items():
        for key, field in model["properties"].items():
            assert "description" in field or "$ref" in field, f"{name}.{key}"


def test_the_schema_finds_mistakes():
    jsonschema = pytest.importorskip("jsonschema", reason="installed with ray")
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    file = {key: value for key, value in GOOD.items() if key != "study"}
    assert validator.is_valid(file)
    assert validator.is_valid({**file, "scheduler": {"max_resource": 27}})
    for change in (
        {"nonsense": 1},
        {"scheduler": {"name": "none", "reduction_factor": 3}},
        {"space": {"lr": {"float": [1]}}},
        {"space": {"lr": {"float": [0, 1], "lgo": True}}},
        {"space": {"n": {"int": [0, 1.5]}}},
        {"sampler": {"name": "tpee"}},
        {"budget": {"trials": 0}},
    ):
        assert not validator.is_valid({**file, **change}), change


def test_a_spec_that_says_nothing_new_keeps_its_digest():
    golden = Path(__file__).parents[1] / "golden" / "store_v2.db"
    with closing(sqlite3.connect(f"file:{golden}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT spec, digest FROM studies").fetchall()
    assert rows
    for form, digest in rows:
        assert StudySpec.from_dict(json.loads(form)).digest() == digest
