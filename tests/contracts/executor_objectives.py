"""What the executors' contract runs: objectives that behave, misbehave, and tell what they did by files.

They are classes with `__call__`, so that they can be sent to other processes.
"""

from __future__ import annotations

import asyncio
import math
import sys
import threading
import time
from typing import Any

import numpy as np

from tuner.errors import TrialFailed, UserMistake
from tuner.objective import TrialHandle


class Curve:
    """Reports a curve that depends on everything it should; counts its steps in the checkpoint and in a file."""

    def __call__(self, config: dict[str, Any], trial: TrialHandle) -> None:
        state = trial.checkpoint or {"steps": 0}
        assert state["steps"] == trial.start, "the checkpoint is that of the resource it starts from"
        for epoch in range(trial.start + 1, trial.until + 1):
            with (trial.folder / "steps.txt").open("a") as file:
                file.write(f"{epoch}\n")
            state = {"steps": state["steps"] + 1}
            loss = abs(config["x"] - 0.3) + 1 / epoch + (trial.seed % 1000) / 1e6
            print(f"epoch {epoch}")
            time.sleep(config.get("pause", 0.0))
            trial.report(epoch, checkpoint=state, loss=loss)


class Moody:
    """Fails in as many ways as there are trials."""

    def __call__(self, config: dict[str, Any], trial: TrialHandle) -> Any:
        match trial.number:
            case 0:
                raise ValueError("on purpose")
            case 1:
                sys.exit(3)
            case 2:
                trial.report(1, loss=math.nan)
            case 3:
                trial.report(1, other=1.0)
            case 4:
                trial.report(2, loss="high")
            case 5:
                return None
            case 6:
                trial.report(0, loss=0.5)
            case 8:
                raise Untellable(b"\xff".decode("utf-8", "surrogateescape"))
            case 9:
                raise asyncio.CancelledError
            case 11:
                raise TrialFailed("the loss is NaN", kind="non-finite", details="step 7: inf\n")
            case 12:
                raise TrialFailed("no progress", kind="sulking", details="it sulks")
            case 10:
                trial.report(np.int64(1), loss=np.float32(2.0))
            case 7:
                return 0.25
            case _:
                for epoch in range(trial.start + 1, trial.until + 1):
                    trial.report(epoch, loss=1.0)
        return None


class Untellable(Exception):
    """Its text cannot be written to a file, and its arguments cannot be shown."""

    def __str__(self) -> str:
        return f"no such file: {self.args[0]}"


class Stubborn:
    """Does not let StopTrial pass."""

    def __call__(self, config: dict[str, Any], trial: TrialHandle) -> None:
        for epoch in range(trial.start + 1, trial.horizon + 1):
            try:
                trial.report(epoch, loss=float(trial.number))
            except BaseException:  # noqa: BLE001 (on purpose)
                (trial.folder / "swallowed").touch()


class Talkative:
    """Says its pace, and attaches to each report but the first, some of it in two parts."""

    def __call__(self, config: dict[str, Any], trial: TrialHandle) -> None:
        (trial.folder / "given").write_text(f"{trial.unit} {trial.gpus} {trial.device}")
        trial.pace(0.25 + trial.number)
        for epoch in range(trial.start + 1, trial.until + 1):
            if epoch > 1:
                trial.attach(curves={"loss": np.array([1.0, math.nan]) / epoch})
                trial.attach(curves={"loss": [float(epoch)]}, events=[f"epoch {epoch}", "größe \ud83c"])
            trial.report(epoch, checkpoint={}, loss=float(trial.number))


class Unequal:
    """Attaches what cannot be, catches what is raised, and goes on."""

    def __call__(self, config: dict[str, Any], trial: TrialHandle) -> None:
        wrong: list[Any] = [
            {"curves": {"a": [1.0], "b": [1.0, 2.0]}},
            {"curves": {"a": 1.0}},
            {"curves": {"a": ["high"]}},
            {"curves": {"a": [0.0] * 100_001}},
            {"curves": {"a": [1.0]}, "events": "a sentence, not a list"},
        ]
        said = []
        for arguments in wrong:
            try:
                trial.attach(**arguments)
            except UserMistake as error:
                said.append(error.message)
        for seconds in (-1.0, math.nan, "slow"):
            try:
                trial.pace(seconds)  # type: ignore[arg-type]
            except UserMistake as error:
                said.append(error.message)
        (trial.folder / "said").write_text("\n".join(said))
        trial.attach(events=["again and again"] * 300)
        trial.report(trial.until, loss=0.0)


class Dawdling:
    """Trial 1 takes its time after its first report, once."""

    def __call__(self, config: dict[str, Any], trial: TrialHandle) -> None:
        marker = trial.folder / "dawdles"
        for epoch in range(trial.start + 1, trial.until + 1):
            if (trial.number, epoch) == (1, 2) and not marker.exists():
                time.sleep(0.5)  # let the report leave
                marker.touch()
                time.sleep(3.0)
            trial.report(epoch, checkpoint={}, loss=0.0)


class LateWatchdog:
    """Its watchdog barks when the segment is over."""

    def __call__(self, config: dict[str, Any], trial: TrialHandle) -> None:
        if trial.number == 0:
            threading.Timer(0.3, self.bark, [trial]).start()
        else:
            time.sleep(0.4)
        trial.report(trial.until, loss=0.0)

    def bark(self, trial: TrialHandle) -> None:
        try:
            trial.abandon("too late")
        except SystemExit:
            (trial.folder / "late").touch()
