"""An objective by its name: found, or explained."""

import subprocess
import sys

import pytest

from tuner.errors import ObjectiveError
from tuner.objective import check_objective, load_objective, reference_to

MODULE = """
class Task:
    __tuner_task__ = True

class Mnist(Task):
    pass

class Demanding(Task):
    def __init__(self, size):
        pass

class Broken(Task):
    def __init__(self):
        raise OSError("no data")

class Plain:
    def objective(self, config, trial):
        return 1.0

made = Mnist()
plain = Plain()
number = 3

def objective(config, trial):
    return 1.0

def with_more(config, trial, *, size=3):
    return 1.0

def one(config):
    return 1.0

async def later(config, trial):
    return 1.0
"""


@pytest.fixture
def load(tmp_path, monkeypatch, request):
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    (tmp_path / "objs_here.py").write_text(MODULE)
    (tmp_path / "objs_failing.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
    (tmp_path / "objs_syntax.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "objs_needs.py").write_text("import not_there_at_all\n")
    (tmp_path / "objs_exits.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "objs_package").mkdir()
    (tmp_path / "objs_package" / "__init__.py").write_text("")
    (tmp_path / "objs_package" / "inner.py").write_text("def objective(config, trial): ...\n")
    yield lambda reference: load_objective(reference, tmp_path)
    for name in set(sys.modules) - known:
        if name.startswith("objs_"):
            del sys.modules[name]


def test_what_is_an_objective(load):
    assert load("objs_here:objective")({}, None) == 1.0
    assert load("objs_here:with_more")({}, None) == 1.0
    assert load("objs_here:plain.objective")({}, None) == 1.0
    assert type(load("objs_here:Mnist")).__name__ == "Mnist"
    assert load("objs_here:made") is sys.modules["objs_here"].made
    assert callable(load("objs_package.inner:objective"))


def test_references_lead_back(load):
    assert reference_to(load("objs_here:objective")) == "objs_here:objective"
    assert reference_to(sys.modules["objs_here"].Mnist) == "objs_here:Mnist"
    assert reference_to(sys.modules["objs_here"].Plain.objective) == "objs_here:Plain.objective"
    assert reference_to(load("objs_here:made")) == "objs_here:Mnist"


MISTAKES = [
    ("objs_here.objective", "must be module:attribute", "objs_here:objective"),
    ("objs_here.py:objective", "must be module:attribute", "objs_here:objective"),
    ("dir/objs_here.py:objective", "must be module:attribute", "dir.objs_here:objective"),
    ("objs_here:", "must be module:attribute", "objs_here:attribute"),
    ("", "must be module:attribute", "module:attribute"),
    ("m:f.<locals>.g", "made inside a function", "top of a module"),
    ("objs_heer:objective", "no module 'objs_heer'", "Did you mean 'objs_here'?"),
    ("objs_package.iner:objective", "no module 'objs_package.iner'", "Did you mean 'objs_package.inner'?"),
    ("objs_here.inner:objective", "no module 'objs_here.inner'", "Looked in"),
    ("objs_needs:objective", "No module named 'not_there_at_all' (", "Install it"),
    ("objs_failing:objective", "ZeroDivisionError: division by zero", "objs_failing.py:2)"),
    ("objs_syntax:objective", "SyntaxError", "objs_syntax.py:2)"),
    ("objs_exits:objective", "SystemExit: 3", "objs_exits.py:2)"),
    ("objs_here:objectiv", "objs_here.py has no 'objectiv'", "Did you mean 'objective'?"),
    ("objs_here:number", "is 3, which cannot be called", "function of (config, trial)"),
    ("objs_here:Plain", "a class that is no Task", "Name a Task"),
    ("objs_here:one", "takes (config)", "two arguments: (config, trial)"),
    ("objs_here:later", "async", "plain function"),
    ("objs_here:Demanding", "missing 1 required positional argument: 'size'", "without arguments"),
    ("objs_here:Broken", "OSError: no data", "objs_here.py:14)"),
]


@pytest.mark.parametrize(("reference", "message", "remedy"), MISTAKES, ids=[reference for reference, *_ in MISTAKES])
def test_what_is_none_is_explained(load, reference, message, remedy):
    with pytest.raises(ObjectiveError) as caught:
        load(reference)
    assert caught.value.exit_code == 2
    assert repr(reference) in str(caught.value)
    assert message in str(caught.value)
    assert remedy in str(caught.value)


def test_functions_that_tell_nothing_of_themselves_pass():
    assert check_objective(max, "max") is max


def test_reading_a_spec_loads_none_of_the_heavy_packages():
    heavy = {"torch", "ray", "optuna", "numpy", "pandas"}
    code = f"import sys, tuner.spec, tuner.objective; print({heavy} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "set()"
