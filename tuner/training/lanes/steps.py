"""A group's step: what it reads and writes on the device, compiled once for a shape, recorded as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, final

import torch
from torch import Tensor, nn

from tuner.training import dynamics
from tuner.training.clipping import clip_divisor
from tuner.training.dropout import named_streams, step_streams
from tuner.training.examples import Examples
from tuner.training.lanes.program import BatchLoss, Rule, Verdict, gradients_and_losses, norms, update
from tuner.training.lanes.slots import Slots
from tuner.training.recording import recorded_into
from tuner.training.task import Task

CONTROL = ("stop", "first", "last", "per_epoch", "batch_size", "n_rest", "total", "dropout")
"""Of each slot: the steps at which its leg ends and has begun, its stretch's last one; steps of an epoch; rows of a
batch, and of an epoch's last; steps of its whole training; the key of its dropouts. A step at `stop` is not taken.
"""
SHAPES = 256
"""Shapes that one program may be compiled for in a process."""


@dataclass
class Board:
    """What the host tells the device of each slot, and what it reads back; the slot is the first dimension."""

    control: Tensor
    """(slots, len(CONTROL)) int64."""
    order: Tensor
    """(slots, rows of train) int32: an epoch's."""
    rates: Tensor
    """(slots, steps of a leg) float32."""
    step: Tensor
    """(slots,) int64: the steps that each trial has taken."""
    halted: Tensor
    """(slots,) bool: nothing is finite there any more, or nobody is."""
    halted_at: Tensor
    """(slots,) int64: the step that was not finite."""
    log: Tensor
    """(slots, steps of a leg + 1, 2) float32: loss and gradient norm; the last row is for steps that are not taken."""
    ratios: Tensor
    """(slots, samples + 1) float32: update ratios of a leg; the last column is for those that are not measured."""
    n_ratios: Tensor
    """(slots,) int64: how many."""

    def tensors(self) -> list[Tensor]:
        """All there are."""
        return [getattr(self, each.name) for each in fields(self)]

    def column(self, name: str) -> Tensor:
        """A column of `control`, by its name in CONTROL."""
        return self.control[:, CONTROL.index(name)]

    @classmethod
    def of(cls, width: int, n_rows: int, n_steps: int, device: torch.device) -> Board:
        """An empty one, for legs of at most `n_steps`."""
        whole = torch.zeros((width, len(CONTROL)), dtype=torch.int64, device=device)
        whole[:, 3:] = 1
        return cls(
            control=whole,
            order=torch.zeros((width, n_rows), dtype=torch.int32, device=device),
            rates=torch.zeros((width, n_steps), device=device),
            step=torch.zeros(width, dtype=torch.int64, device=device),
            halted=torch.ones(width, dtype=torch.bool, device=device),
            halted_at=torch.zeros(width, dtype=torch.int64, device=device),
            log=torch.zeros((width, n_steps + 1, 2), device=device),
            ratios=torch.zeros((width, n_steps // dynamics.RATIO_EVERY + 3), device=device),
            n_ratios=torch.zeros(width, dtype=torch.int64, device=device),
        )


@final
class Program:
    """The step of slots of one structure, with at most `n_rows` rows in a batch. Groups of one shape share it."""

    def __init__(self, task: Task, model: nn.Module, rule: Rule, n_rows: int, *, smooths: bool, compiled: bool) -> None:
        self._loss, self._rule, self._n_rows, self._smooths = BatchLoss(task, model), rule, n_rows, smooths
        self._judge: Callable[..., Any] = self._judged
        self._update: Callable[..., Any] = update
        if compiled:
            torch._dynamo.config.recompile_limit = max(SHAPES, torch._dynamo.config.recompile_limit)
            self._judge = torch.compile(self._judged, fullgraph=True, dynamic=False)
            self._update = torch.compile(update, fullgraph=True, dynamic=False)

    def step(self, slots: Slots, board: Board, train: Examples) -> None:
        """One step of every slot that has one to take, in place. Brings nothing to the host."""
        self._loss.train()
        gradients, verdict = self._judge(
            slots.parameters,
            slots.buffers,
            slots.updates,
            slots.vectors,
            slots.rates,
            board,
            train.inputs,
            train.targets,
        )
        self._update(self._rule, slots.parameters, slots.state, slots.updates, slots.vectors, gradients, verdict)

    @torch.no_grad()
    def _judged(
        self,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        updates: Tensor,
        vectors: dict[str, Tensor],
        rates: dict[str, Tensor],
        board: Board,
        inputs: Tensor,
        targets: Tensor,
    ) -> tuple[dict[str, Tensor], Verdict]:
        """The gradients of each slot's next batch, and what becomes of them; the board is brought up to date."""
        stop, first, last, per_epoch, size, n_rest, total, key = board.control.unbind(1)
        step = board.step
        active = (step < stop) & ~board.halted
        at = torch.where(active, step - first, board.rates.shape[1])

        within = step % per_epoch
        columns = torch.arange(self._n_rows, device=step.device)
        counted = columns < torch.where(within == per_epoch - 1, n_rest, size)[:, None]
        # Padded by the batch's first row.
        rows = board.order.gather(1, (within * size)[:, None] + torch.where(counted, columns, 0)).long()
        smoothing = vectors["smoothing"] if self._smooths else None
        batch = (inputs[rows], targets[rows], step / total, smoothing, counted)
        streams = named_streams(self._loss.model, step_streams(key, step), rates)
        gradients, losses = gradients_and_losses(self._loss, parameters, {**buffers, **streams}, batch)

        norm, clip_norm = norms(gradients), vectors["clip_norm"]
        clips = clip_norm.isfinite()
        measured = clips | dynamics.needs_norm(step) | dynamics.is_sampled(step, last)
        nonfinite = active & ~torch.isfinite(torch.where(measured, losses + norm, losses))
        stays = ~active | nonfinite
        verdict = Verdict(
            lr=board.rates.gather(1, at.clamp(max=board.rates.shape[1] - 1)[:, None])[:, 0],
            divisor=torch.where(clips, clip_divisor(norm, clip_norm), 1.0),
            stays=stays,
            corrections=self._rule.corrections(updates, vectors),
        )
        shown = torch.stack([losses, torch.where(measured, norm, dynamics.UNMEASURED)], 1)
        board.log.index_put_((torch.arange(len(step), device=step.device), at), shown)
        board.halted_at.copy_(torch.where(nonfinite, step, board.halted_at))
        board.halted.logical_or_(nonfinite)
        board.step.add_(active)
        return gradients, verdict


@final
class Steps:
    """Takes steps of one group: on a GPU by replaying graphs, elsewhere one operation after the other."""

    def __init__(self, program: Program, slots: Slots, board: Board, train: Examples) -> None:
        self._program, self._slots, self._board, self._train = program, slots, board, train
        self._graphs: dict[bool, torch.cuda.CUDAGraph] = {}

    def take(self, n: int, *, sampled: bool = False) -> None:
        """`n` steps, one after the other; if `sampled`, the update ratios of those whose turn it is are measured."""
        if self._slots.device.type == "cuda":
            once = self._graphs[sampled].replay
        else:
            once = self._sampled if sampled else self._once
        for _ in range(n):
            once()

    def warm_up(self) -> None:
        """Make ready what a GPU replays."""
        if self._slots.device.type == "cuda":
            self._graphs = {
                sampled: self._recorded(self._sampled if sampled else self._once) for sampled in (False, True)
            }

    def _once(self) -> None:
        self._program.step(self._slots, self._board, self._train)

    @torch.no_grad()
    def _sampled(self) -> None:
        board, parameters = self._board, self._slots.parameters
        step, stop, last = board.step.clone(), board.column("stop"), board.column("last")
        sampled = (step < stop) & dynamics.is_sampled(step, last)
        before = {name: parameter.clone() for name, parameter in parameters.items()}
        size = norms(before)
        self._once()
        moved = norms({name: tensor.sub_(parameters[name]) for name, tensor in before.items()})
        nowhere = board.ratios.shape[1] - 1
        at = torch.where(sampled, board.n_ratios.clamp(max=nowhere), nowhere)
        board.ratios.scatter_(1, at[:, None], (moved / size)[:, None])
        board.n_ratios.add_(sampled)

    def _recorded(self, once: Callable[[], None]) -> torch.cuda.CUDAGraph:
        """The step as a graph. What it takes to choose algorithms and to compile is done with nobody on board, so that
        no step is taken.
        """
        stop = self._board.column("stop")
        kept = stop.clone()
        stop.zero_()
        for _ in range(2):
            once()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.current_stream().synchronize()
        with recorded_into(graph, torch.cuda.current_stream()):
            once()
        stop.copy_(kept)
        return graph
