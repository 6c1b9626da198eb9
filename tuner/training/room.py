"""What there is room for: how many rows at a time were too many, in this trial and in those before it.

A trial that runs out of memory leaves a note in the study's folder. One that follows, on a device of the same name, in
the same number type and with at least as many parameters, does not try that many rows again. What fits hangs on more
than the parameters (the length of a sequence, say): a note can make a trial slower, never wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, final

import torch

from tuner.objective import TrialHandle
from tuner.storage.folder import write_atomically
from tuner.training.ranks import Ranks

FOLDER = "room"
"""Of the notes, in the study's own: one file for each trial that ran out of memory."""

Purpose = Literal["step", "evaluation"]
PURPOSES: tuple[Purpose, Purpose] = ("step", "evaluation")


@final
class Room:
    """The smallest number of rows that was too large, for a training step and for an evaluation."""

    def __init__(self, note: Path | None, n_parameters: int, place: str) -> None:
        """`note` is the trial's own, beside those of the others (`note_of`); None neither hears nor tells anybody.
        `place` is where, and in which number type, as `place_of` says it.
        """
        self._too_large: dict[str, int | None] = dict.fromkeys(PURPOSES)
        self._about = {"parameters": n_parameters, "place": place}
        self._note = note
        self.let_go: Callable[[], None] = lambda: None
        """Gives back the memory that is held to be quick: recordings of the step, say."""
        for told in self._notes():
            if told["place"] == place and told["parameters"] <= n_parameters:
                for purpose in PURPOSES:
                    self._heard(purpose, told[purpose])

    def rows(self, purpose: Purpose, n: int) -> int:
        """`n`, halved until it is not known to be too large."""
        too_large = self._too_large[purpose]
        while too_large is not None and n >= too_large and n > 1:
            n //= 2
        return n

    def too_large(self, purpose: Purpose, n: int) -> None:
        """`n` rows did not fit: `rows` says fewer from now on, and so it does in trials to come."""
        self._heard(purpose, n)
        if self._note is not None:
            write_atomically(self._note, json.dumps({**self._about, **self._too_large}).encode())

    def state_dict(self) -> dict[str, Any]:
        """What it takes to go on with the same sizes."""
        return {**self._too_large}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, whatever others have found since: a trial has one curve."""
        self._too_large = {purpose: state[purpose] for purpose in PURPOSES}

    def _heard(self, purpose: Purpose, n: int | None) -> None:
        known = self._too_large[purpose]
        if n is not None and (known is None or n < known):
            self._too_large[purpose] = n

    def _notes(self) -> Iterator[dict[str, Any]]:
        if self._note is None or not self._note.parent.is_dir():
            return
        for path in sorted(self._note.parent.glob("*.json")):
            with suppress(OSError):  # another trial may be writing it anew
                yield json.loads(path.read_bytes())


def note_of(trial: TrialHandle, ranks: Ranks) -> Path | None:
    """Where a trial notes what was too large. One that is only tried out has no folder of its own, and ranks, which
    have to split their batches alike, might not hear the same.
    """
    alone = ranks.alone and trial.folder != Path()
    return trial.folder.parent / FOLDER / f"{trial.number}.json" if alone else None


def place_of(device: torch.device, number_type: str) -> str:
    """A device's name, and the number type that is computed in."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{name}, {number_type}"
