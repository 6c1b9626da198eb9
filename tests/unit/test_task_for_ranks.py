"""A task that its ranks could not import is told before one is started."""

import pytest
from training_runs import Blobs, run

from tuner.errors import TrialFailed


@pytest.mark.parametrize("module", ["__main__", "nowhere"])
def test_a_task_that_a_rank_cannot_import(module, monkeypatch, tmp_path):
    task = type("Mine", (Blobs,), {"__module__": module})()
    monkeypatch.setattr("subprocess.Popen", None)  # no rank is started
    with pytest.raises(TrialFailed, match=r"cannot be sent to its ranks: .*Mine") as failure:
        run({"ranks": 2}, task=task, folder=tmp_path)
    assert "at the top of a module that is imported" in failure.value.hint
