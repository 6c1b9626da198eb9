"""`import tuner`: light, lazy, and exactly what it says."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import tuner

HEAVY = ("ray", "torch", "optuna", "sqlalchemy", "pandas", "plotly", "streamlit")


@pytest.mark.parametrize(
    "code",
    [
        "import tuner",
        "import tuner; dir(tuner)",
        "import tuner; hasattr(tuner, 'nothing')",
        "import tuner; tuner.Float, tuner.ASHA, tuner.Task, tuner.StopTrial, tuner.StudySpec",
        "import runpy; sys.argv = ['tune', '--help']; runpy.run_module('tuner.cli', run_name='__main__')",
        "import runpy; sys.argv = ['tune', 'run', '--help']; runpy.run_module('tuner.cli', run_name='__main__')",
    ],
)
def test_heavy_packages_are_left_alone(code):
    program = f"""
import sys
try:
    {code}
except SystemExit as done:
    assert not done.code, done.code
print("loaded:", *(set({HEAVY!r}) & sys.modules.keys()))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.splitlines()[-1] == "loaded:"


def test_all_is_what_dir_shows():
    assert set(dir(tuner)) == {*tuner.__all__, "plots", "__version__"}
    assert tuner.__all__ == sorted(tuner.__all__)
    assert len(set(tuner.__all__)) == len(tuner.__all__)


@pytest.mark.parametrize("name", tuner.__all__)
def test_a_public_name_is_there_and_says_what_it_is_for(name):
    value = getattr(tuner, name)
    assert value.__name__ == name
    assert value.__module__.startswith("tuner.")
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    assert own, f"tuner.{name} has no docstring"
    assert not own.startswith(f"{name}("), f"tuner.{name} has the docstring that dataclass makes up"


def test_nothing_else_is_there():
    with pytest.raises(AttributeError, match="module 'tuner' has no attribute 'Foat'"):
        tuner.Foat  # noqa: B018
    with pytest.raises(ImportError, match="nothing"):
        from tuner import nothing  # noqa: F401


def test_star_imports_what_all_names():
    space = {}
    exec("from tuner import *", space)
    assert set(tuner.__all__) <= space.keys()


def test_figures_are_reached_by_name():
    program = "import sys, tuner; assert callable(tuner.plots.plot_curves); assert 'plotly' in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
