"""The JSON Schema that `tune schema` prints, held against every file of search_spaces/."""

import copy
import json
from pathlib import Path

import pytest
from workplace import Workplace

from tuner.spec.yaml_nodes import read_yaml

jsonschema = pytest.importorskip("jsonschema", reason="installed with ray")

FILES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
OWN_NAMES = ("fixed", "space", "when")
"""Below these, the keys are the study's own."""


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    printed, _ = Workplace(tmp_path_factory.mktemp("schema")).tune("schema")
    document = json.loads(printed)
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def keys(node, above=()):
    """The path of every key that a spec's schema names."""
    for key, value in node.items() if isinstance(node, dict) else ():
        path = (*above, key)
        if not (above and above[-1] in OWN_NAMES):
            yield path
        if key != "fixed":
            yield from keys(value, path)


def misspelt(form, path):
    changed = copy.deepcopy(form)
    *above, key = path
    node = changed
    for name in above:
        node = node[name]
    node[f"{key}q"] = node.pop(key)
    return changed


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_fits_and_no_misspelt_key_does(validator, file):
    form = read_yaml(file.read_text(), file.name)[0]
    assert [error.message for error in validator.iter_errors(form)] == []
    paths = list(keys(form))
    assert {("objective",), ("scheduler",)} < set(paths)
    assert any(len(path) == 3 and path[0] == "space" for path in paths)
    assert [path for path in paths if validator.is_valid(misspelt(form, path))] == []
