"""Each example runs as a user would run it, and says something true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from objectives.data.download import cache_folder

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture
def run(tmp_path):
    """What an example prints, run in an empty folder."""

    def run(name, *arguments):
        environment = os.environ | {"TUNER_HOME": str(tmp_path / "runs"), "TUNER_DATA": str(cache_folder())}
        command = [sys.executable, "-W", "error", ROOT / "examples" / f"{name}.py", *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
        assert (tmp_path / "runs" / "tuner.db").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["runs"], "it writes nowhere else"
        return ran.stdout

    return run


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])


def test_plain_function(run):
    said = run("plain_function", "--trials", "60")
    assert 0.397887 <= number(r"best value (\S+)", said) < 3
    assert "60 trials in" in said


def test_task(run):
    said = run("task", "--trials", "6")
    assert number(r"best val_loss ([\d.]+)", said) < 0.3
    assert number(r"val_accuracy ([\d.]+)", said) > 0.9
    assert "grad_norm_p90" in said


def test_many_trials(run):
    said = run("many_trials", "--trials", "8")
    assert "8 trials" in said
    assert number(r"best val_loss ([\d.]+)", said) < 1


def test_mnist(run):
    said = run("mnist", "--trials", "1", "--epochs", "2")
    assert number(r"val_accuracy ([\d.]+)", said) > 0.85


def test_pytorch_loop(run):
    said = run("pytorch_loop", "--trials", "4")
    assert 0.01 < number(r"best val_loss ([\d.]+)", said) < 0.3
    assert number(r"after (\d+) epochs", said) == 27
    assert number(r"in (\d+) segments", said) == 4


def test_sklearn_model(run):
    said = run("sklearn_model", "--trials", "8")
    assert number(r"val_accuracy ([\d.]+)", said) > 0.93
    assert 0 < number(r"best val_loss ([\d.]+)", said) < 0.5
    assert number(r"in (\d+) segments", said) == 4


def test_resume(run):
    said = run("resume", "--trials", "12")
    assert "stopped: unfinished" in said
    assert number(r"(\d+) reports kept", said) >= 12  # the commit after which it stopped may hold several
    assert "resumed: finished, 12 trials" in said
    assert "never stopped: True" in said
    assert "extended: finished, 24 trials" in said
    first, second = (float(loss) for loss in re.findall(r"best loss ([\d.]+)", said))
    assert second <= first


def test_compare_strategies(run):
    said = run("compare_strategies", "--trials", "100", "--repeats", "2")
    assert "recorded 100 configurations" in said
    rows = re.findall(r"^ *(grid|random|tpe|asha\+tpe) +(\S+)", said, re.MULTILINE)
    assert sorted(name for name, _ in rows) == ["asha+tpe", "grid", "random", "tpe"]
    assert all(0.2 < float(value) < 1 for _, value in rows)
    assert "with 2 repeats, too few to say how many it would take" in said


def test_warm_start(run):
    said = run("warm_start", "--trials", "20")
    first, second = number(r"first: best val_loss (\S+)", said), number(r"second: best val_loss (\S+)", said)
    assert second < first
    lr = number(r"at lr (\S+)", said)
    assert number(r"it tried lr ([^,\s]+)", said) == lr
    assert "no improvement in 20 trials" in said


def test_every_example_has_its_test_and_says_how_to_run_it():
    assert [path.stem for path in EXAMPLES] == [
        "auto_in_optuna",
        "compare_strategies",
        "many_trials",
        "mnist",
        "plain_function",
        "pytorch_loop",
        "resume",
        "sklearn_model",
        "task",
        "warm_start",
    ]
    for path in EXAMPLES:
        assert f"python examples/{path.name} [--trials N]" in path.read_text()
