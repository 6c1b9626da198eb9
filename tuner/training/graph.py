"""The training step recorded once as a CUDA graph and replayed: one launch instead of hundreds for each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol, final

import torch
from torch import Tensor

from tuner.errors import TrialFailed
from tuner.failures import out_of_memory
from tuner.records import FailureKind
from tuner.training.examples import Examples
from tuner.training.fitting import can_shrink, shrink_step
from tuner.training.recording import recorded_into
from tuner.training.run import Run

WARM_UP = 3
"""Steps of a shape that are taken eagerly before it is recorded: libraries choose their algorithms in them."""


class Stepper(Protocol):
    """Takes one training step; returns its row of the log."""

    def __call__(self, batch: Examples, n_samples: int, lr: Tensor, measured: bool) -> Tensor: ...


def make_stepper(run: Run, step: Callable[[Run, Examples, int, Tensor, bool], Tensor]) -> Stepper:
    """`step` bound to `run`; recorded as CUDA graphs if the settings say so and there is a GPU."""

    def eagerly(batch: Examples, n_samples: int, lr: Tensor, measured: bool) -> Tensor:
        return step(run, batch, n_samples, lr, measured)

    if run.settings.speed.cuda_graph and run.device.type == "cuda":
        return GraphedStep(run, eagerly)
    return eagerly


class Recording(NamedTuple):
    """A graph and the memory that it reads from and writes to."""

    graph: torch.cuda.CUDAGraph
    inputs: Tensor
    targets: Tensor
    lr: Tensor
    row: Tensor

    def replay(self, batch: Examples, lr: Tensor) -> Tensor:
        """The step on another batch of the same shape. The row is overwritten by the next replay."""
        self.inputs.copy_(batch.inputs)
        self.targets.copy_(batch.targets)
        self.lr.copy_(lr)
        self.graph.replay()
        return self.row


@final
class GraphedStep:
    """A recording for each kind of step; odd shapes, such as an epoch's last batch, stay eager."""

    def __init__(self, run: Run, step: Stepper) -> None:
        self._run = run
        self._step = step
        self._side = torch.cuda.Stream(run.device)  # type: ignore[no-untyped-call]
        self._seen: Counter[Hashable] = Counter()
        self._recordings: dict[Hashable, Recording] = {}
        run.room.let_go = self._forget

    def __call__(self, batch: Examples, n_samples: int, lr: Tensor, measured: bool) -> Tensor:
        kind = self._kind(batch, measured)
        recording = self._recordings.get(kind)
        if recording is None:
            self._seen[kind] += 1
            if self._seen[kind] <= WARM_UP:
                return self._warm_up(batch, n_samples, lr, measured)
            recording = self._record(batch, n_samples, lr, measured)
            if recording is None:
                shrink_step(self._run, len(batch))
                return self(batch, n_samples, lr, measured)
            self._recordings[kind] = recording
        return recording.replay(batch, lr)

    def _forget(self) -> None:
        """There was no room: what was recorded only holds memory, and was recorded by larger micro-batches."""
        self._recordings.clear()
        self._seen.clear()

    def _kind(self, batch: Examples, measured: bool) -> Hashable:
        """What a recording cannot change: shapes, what is measured, the number type, what is frozen."""
        return batch.inputs.shape, batch.targets.shape, measured, self._run.precision.name, self._run.frozen

    def _warm_up(self, batch: Examples, n_samples: int, lr: Tensor, measured: bool) -> Tensor:
        main = torch.cuda.current_stream(self._run.device)
        self._side.wait_stream(main)
        with torch.cuda.stream(self._side):
            row = self._step(batch, n_samples, lr, measured)
        main.wait_stream(self._side)
        return row

    def _record(self, batch: Examples, n_samples: int, lr: Tensor, measured: bool) -> Recording | None:
        """The recording; None where there is no room for it, but may be with smaller micro-batches."""
        graph = torch.cuda.CUDAGraph()
        inputs, targets, rate = batch.inputs.clone(), batch.targets.clone(), lr.clone()
        self._run.optimizer.zero_grad()
        try:
            with recorded_into(graph, self._side):
                row = self._step(Examples(inputs, targets), n_samples, rate, measured)
        except RuntimeError as error:
            # Ending a recording that failed may fail, too: then the cause is the context.
            cause = error if error.__context__ is None or out_of_memory(error) else error.__context__
            if can_shrink(self._run, cause, self._run.micro_size(len(batch))):
                return None
            if out_of_memory(cause):
                raise
            raise TrialFailed(
                f"the step cannot be recorded as a CUDA graph: {str(error).splitlines()[0]}",
                kind=FailureKind.EXCEPTION,
                hint="The model, its loss or a hook waits for the GPU, or its shapes hang on the data. "
                "Mend that, or set cuda_graph: false.",
            ) from error
        return Recording(graph, inputs, targets, rate, row)
