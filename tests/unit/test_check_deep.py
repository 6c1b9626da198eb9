"""`tune check --deep` as a person types it."""

import json

import pytest

from tuner.cli.main import main

TASK = """
import torch
from torch import nn
from tuner import Splits, Task

class {name}(Task):
    n_classes = 2
    def data(self):
        x = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
        y = (x.sum(1) > 0).long()
        return Splits((x[:200], y[:200]), (x[200:], y[200:]))
    def model(self, config):
        {model}
    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)
"""
SPEC = """
study: deep
objective: {module}:{name}
metric: {{name: val_loss}}
space: {{lr: {{float: [0.001, 0.1], log: true}}}}
scheduler: {{name: none, max_resource: 4}}
budget: {{trials: 5}}
"""
SOUND = "return nn.Linear(4, 2)"


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def write(model, name):
        module = f"deep_{name.lower()}"
        (tmp_path / f"{module}.py").write_text(TASK.format(name=name, model=model))
        (tmp_path / "deep.yaml").write_text(SPEC.format(module=module, name=name))
        return "deep.yaml"

    return write


def exit_code(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


def test_a_sound_task_is_told_what_its_study_takes(spec, capsys):
    assert exit_code("check", "--deep", spec(SOUND, "Sound")) == 0
    told = capsys.readouterr().out
    assert "about 20 epochs" in told
    assert "nothing is wrong" in told


def test_findings_are_json_for_programs(spec, capsys):
    assert exit_code("check", "--deep", "--json", spec(SOUND, "Told")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    verdicts = {finding["check"]: finding["verdict"] for finding in told["findings"]}
    assert verdicts["first weights"] == "fine"


def test_a_fault_ends_with_2_and_says_which(spec, capsys):
    model = "return nn.Sequential(nn.Linear(4, 2), nn.Softmax(1))"
    assert exit_code("check", "--deep", spec(model, "Wrong")) == 2
    captured = capsys.readouterr()
    assert "loss and outputs" in captured.err
    assert "Leave the softmax out" in captured.err


def test_a_task_that_raises_gets_a_message_and_no_traceback(spec, capsys):
    assert exit_code("check", "--deep", spec("return nn.Linear(4, config['no'])", "Raising")) == 2
    told = capsys.readouterr().err
    assert "KeyError: 'no'" in told
    assert "Traceback" not in told


def test_deep_needs_the_import(spec, capsys):
    assert exit_code("check", "--deep", "--no-import", spec(SOUND, "Unread")) == 2
    assert "--no-import" in capsys.readouterr().err


def test_a_plain_function_is_told_that_deep_needs_a_task(spec, capsys, tmp_path):
    path = spec(SOUND, "Function")
    (tmp_path / "deep_function.py").write_text("def Function(config, trial):\n    return 1.0\n")
    assert exit_code("check", "--deep", path) == 2
    assert "--deep looks into a Task" in capsys.readouterr().err
