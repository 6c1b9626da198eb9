"""Specs: forms that come back, digests that agree, and garbage that is told apart."""

import json
import os
import pickle
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import json_like, study_specs

from tuner.errors import SpecError
from tuner.spec import StudySpec, apply_override, dump_spec, load_spec, schema
from tuner.spec.yaml_nodes import read_yaml

jsonschema = pytest.importorskip("jsonschema", reason="installed with ray")

VALIDATOR = jsonschema.Draft202012Validator(schema())
GOOD = {"study": "s", "objective": "m:f", "metric": {"name": "x"}, "space": {"lr": {"float": [0, 1]}}}


@given(study_specs())
def test_a_spec_survives_its_forms(spec):
    form = spec.to_dict()
    text = json.dumps(form, allow_nan=False)
    by_yaml, places = read_yaml(dump_spec(spec), "s.yaml")
    for again in (
        StudySpec.from_dict(form),
        StudySpec.from_dict(json.loads(text)),
        StudySpec.from_dict(by_yaml),
        pickle.loads(pickle.dumps(spec)),
    ):
        assert again == spec
        assert again.to_dict() == form
        assert again.digest() == spec.digest()
        assert hash(again) == hash(spec)
        assert list(again.space) == list(spec.space)
    assert places["metric.name"].startswith("s.yaml:")


@given(study_specs())
def test_the_schema_takes_every_spec(spec):
    VALIDATOR.validate(spec.to_dict())


@given(study_specs())
def test_enqueued_configurations_are_whole(spec):
    for config in spec.enqueue:
        spec.space.check(config)
        assert set(spec.fixed) <= set(config)


@given(st.sampled_from([*schema()["properties"], "nonsense"]), json_like)
def test_garbage_in_a_field_is_a_spec_error(field, data):
    try:
        spec = StudySpec.from_dict({**GOOD, field: data})
    except SpecError:
        return
    assert StudySpec.from_dict(spec.to_dict()) == spec


parts = [key for key, part in StudySpec.from_dict(GOOD).to_dict().items() if isinstance(part, dict)]


@given(st.sampled_from(parts), st.data(), json_like)
def test_garbage_in_a_part_is_a_spec_error(part, data, value):
    body = StudySpec.from_dict(GOOD).to_dict()[part]
    key = data.draw(st.sampled_from([*body, "nonsense"]))
    with suppress(SpecError):
        spec = StudySpec.from_dict({**GOOD, part: {**body, key: value}})
        assert StudySpec.from_dict(spec.to_dict()) == spec


@given(json_like)
def test_garbage_alone_is_a_spec_error(data):
    with pytest.raises(SpecError):
        StudySpec.from_dict(data)


yaml_like = st.text(st.sampled_from("ab:-{}[],&*<!|>#'\"? \n\t1.e~%@`"), max_size=60)


@given(st.binary(max_size=60) | yaml_like.map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_in_a_file_is_a_spec_error(tmp_path, content):
    file = tmp_path / "s.yaml"
    file.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    assert str(file) in str(caught.value)


@given(yaml_like)
def test_a_garbage_override_is_a_spec_error(override):
    with suppress(SpecError):
        StudySpec.from_dict(apply_override(GOOD, override))


def test_a_digest_is_the_same_in_another_process():
    code = f"from tuner.spec import StudySpec; print(StudySpec.from_dict({GOOD!r}).digest())"
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        output = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
        )
        assert output.stdout.strip() == StudySpec.from_dict(GOOD).digest()
