"""Ray in a process that has its own ideas about it: imported first, used for several studies, started by the user."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import ray
import tuner

def objective(config, trial):
    for epoch in range(trial.start + 1, trial.until + 1):
        trial.report(epoch, loss=config["x"])

def study(name):
    space = {"x": tuner.Float(0, 1)}
    return tuner.run(objective, study=name, space=space, metric="loss", budget=tuner.Budget(trials=3), executor="ray")

for name in ("one", "two"):
    assert study(name).state == "finished"
    assert not ray.is_initialized(), "what a study has started, it stops"
assert study("one").state == "finished"
assert not ray.is_initialized(), "a study that has ended needs no Ray"

ray.init(address="local", include_dashboard=False, log_to_driver=False)
assert study("three").state == "finished"
assert ray.is_initialized(), "what the user has started stays"
print("all", [len(tuner.study(name).trials) for name in ("one", "two", "three")])
"""


def test_several_studies_in_a_process_that_imported_ray_first(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "all [3, 3, 3]" in done.stdout
