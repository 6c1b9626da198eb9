"""An empty folder with an objective and a spec, and `tune` run in it as a person would."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

from tuner.cli.main import main

OBJECTIVE = '''
import time

def curve(config, trial):
    """Slower and better with the epoch; the checkpoint is the sum so far."""
    state = trial.checkpoint or {"sum": 0.0}
    for epoch in range(trial.start + 1, trial.until + 1):
        state = {"sum": state["sum"] + config["x"] / epoch}
        time.sleep(config["pause"])
        print("epoch", epoch)
        trial.report(epoch, checkpoint=state, loss=abs(config["x"] - 0.3) + 1 / epoch, sum=state["sum"])

def broken(config, trial):
    raise RuntimeError("the disk is made of cheese")

not_one = 7
'''

SPEC = """
study: demo
objective: thing:curve
metric: {name: loss}
space: {x: {float: [0.0, 1.0]}}
fixed: {pause: 0.0}
scheduler: {name: asha, max_resource: 9}
budget: {trials: 12}
executor: local
parallel: 1
"""


class Workplace:
    """`tune` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "thing.py").write_text(OBJECTIVE)
        (folder / "spec.yaml").write_text(SPEC)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tuner.cli", *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "TUNER_HOME"}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def tune(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """What it printed, (stdout, stderr): in this process, as starting one costs a second."""
        out, err = io.StringIO(), io.StringIO()
        with self._inside(), redirect_stdout(out), redirect_stderr(err):
            try:
                main([*arguments])
                ended: int | str | None = 0
            except SystemExit as leaving:
                ended = leaving.code
        assert ended == code, f"exit code {ended}\n{out.getvalue()}\n{err.getvalue()}"
        assert "Traceback" not in err.getvalue(), err.getvalue()
        return out.getvalue(), err.getvalue()

    @contextmanager
    def _inside(self) -> Iterator[None]:
        path, modules = list(sys.path), set(sys.modules)
        environment = {name: value for name, value in os.environ.items() if name != "TUNER_HOME"}
        with chdir(self.folder), mock.patch.dict(os.environ, environment, clear=True):
            try:
                yield
            finally:
                sys.path[:] = path
                for name in set(sys.modules) - modules:
                    if str(self.folder) in str(getattr(sys.modules[name], "__file__", "")):
                        del sys.modules[name]

    def json(self, *arguments: str) -> Any:
        return json.loads(self.tune(*arguments, "--json")[0])

    def story(self, study: str, *arguments: str) -> Any:
        """All that was decided and seen in a study, without what depends on the clock or on interruptions."""
        shown = self.json("show", study, *arguments)
        trials = [
            {key: trial[key] for key in ("number", "state", "value", "config", "resource", "failure")}
            for trial in shown["trials"]
        ]
        curves = [
            [
                (report["resource"], report["metrics"])
                for report in self.json("trial", study, str(n), *arguments)["reports"]
            ]
            for n in range(len(trials))
        ]
        return shown["state"], shown["counts"], shown["best"], trials, curves
