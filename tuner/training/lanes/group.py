"""A group: slots that share one program, each with a passenger of its own or empty, trained a chunk at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from tuner.failures import out_of_memory
from tuner.training.data import EvaluationSet, TaskData, n_rest
from tuner.training.dropout import stream_key
from tuner.training.evaluation import evaluation_batch
from tuner.training.examples import Examples
from tuner.training.lanes.passenger import Passenger
from tuner.training.lanes.program import Measures, measures, norms
from tuner.training.lanes.slots import Slots, Snapshot
from tuner.training.lanes.steps import Board, Program, Steps
from tuner.training.randomness import shuffled
from tuner.training.trainer import named_measures

CHUNKS = 8
"""A leg is trained in about so many chunks: between two of them slots are refilled."""
ROWS_AT_ONCE = {"cpu": 16_000, "cuda": 2**19}
"""Rows that are evaluated at a time, over all slots, if there is memory for them."""


class Stop(NamedTuple):
    """What a chunk came to: the slots that are not finite any more, and at which step; those whose stretch is over."""

    failed: dict[int, int]
    due: list[int]


@final
class Group:
    """`width` slots on one device. `launch` and `collect` take turns; in between, a GPU is at work."""

    def __init__(
        self, program: Program, judged: Measures, slots: Slots, board: Board, data: TaskData, n_steps: int
    ) -> None:
        assert isinstance(data.train, Examples)
        self.passengers: dict[int, Passenger] = {}
        self.in_flight = False
        self._boarding: set[int] = set()
        self._judged, self.slots, self._board, self._data = judged, slots, board, data
        self._steps = Steps(program, slots, board, data.train)
        self._cell = -(-n_steps // CHUNKS)
        self._rows_at_once = ROWS_AT_ONCE[slots.device.type]
        on_gpu = slots.device.type == "cuda"
        self._stream = torch.cuda.Stream(slots.device) if on_gpu else None  # type: ignore[no-untyped-call]
        self._done = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]

    @property
    def n_free(self) -> int:
        """Slots without a passenger."""
        return self.slots.width - len(self.passengers)

    @property
    def can_train(self) -> bool:
        """Whether anyone on board has a step to take."""
        return any(one.left for one in self.passengers.values())

    def place(self, passenger: Passenger) -> None:
        """Give it a free slot; it boards with the next launch."""
        slot = next(slot for slot in range(self.slots.width) if slot not in self.passengers)
        self.passengers[slot] = passenger
        self._boarding.add(slot)

    @torch.no_grad()
    def take_over(self, other: Group) -> None:
        """Take in all passengers of `other`, a group of the same kind, in mid-journey. This one is empty."""
        seats = dict(enumerate(other.passengers))
        if self._stream and other._stream:
            self._stream.wait_stream(other._stream)
        with self.stream():
            chosen = self._sent(list(seats.values()))
            pairs = zip(self._tensors(), other._tensors(), strict=True)
            for ours, theirs in pairs:
                ours[: len(seats)] = theirs.index_select(0, chosen)
        if self._stream:  # the other's memory is given to others from now on
            torch.cuda.current_stream().wait_stream(self._stream)
        self.passengers = {slot: other.passengers[seat] for slot, seat in seats.items()}
        self._boarding = {slot for slot, seat in seats.items() if seat in other._boarding}

    def _tensors(self) -> list[Tensor]:
        return [*self.slots.tensors(), *self._board.tensors()]

    def leave(self, slot: int) -> Passenger:
        """Free a slot. What is in it stays as it is until the next boards."""
        self._boarding.discard(slot)
        return self.passengers.pop(slot)

    def warm_up(self) -> None:
        """Compile and record what a GPU is to do, so that it is known whether there is memory for it."""
        if self._stream:  # its tensors were made, and the data put there, on another stream
            self._stream.wait_stream(torch.cuda.current_stream())
        with self.stream():
            self._steps.warm_up()

    def launch(self) -> None:
        """Board who waits, and train a chunk."""
        with self.stream():
            self._board_them()
            self._train(self._chunk())
            if self._done:
                self._done.record()
        self.in_flight = True

    def collect(self) -> Stop:
        """Wait for the chunk, and find out who has come to something."""
        if self._done:
            self._done.synchronize()
        self.in_flight = False
        with self.stream():
            told = torch.stack([self._board.halted.long(), self._board.halted_at]).tolist()
            failed = {slot: told[1][slot] for slot in self.passengers if told[0][slot]}
            arrived = [s for s, one in self.passengers.items() if s not in failed and not one.waits and not one.left]
            return Stop(failed, self._end_legs(arrived))

    def measured(self, due: Sequence[int]) -> tuple[list[dict[str, float]], Snapshot]:
        """What each of the slots `due` measures in evaluation mode; and their states."""
        with self.stream():
            snapshot = self.slots.snapshot(due)
            values = self._evaluated(self._sent(due))
            table = torch.stack([value.double() for value in values.values()], 1).tolist()
        return [dict(zip(values, row, strict=True)) for row in table], snapshot

    def stream(self) -> AbstractContextManager[Any]:
        """What the group does on a GPU, it does on a stream of its own."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    # Before a chunk.

    def _board_them(self) -> None:
        if self._boarding:
            slots = sorted(self._boarding)
            runs = {slot: self.passengers[slot].run for slot in slots}
            for new in (True, False):
                if own := {slot: run for slot, run in runs.items() if (self.passengers[slot].step == 0) is new}:
                    self.slots.board(own, new=new)
            for slot in slots:
                self.passengers[slot].unload()
            self._begin_legs(slots)
            self._boarding.clear()

    def begin_stretches(self, slots: Sequence[int]) -> None:
        """Those who go on after a report."""
        for slot in slots:
            self.passengers[slot].begin()
        with self.stream():
            self._begin_legs(slots)

    def _begin_legs(self, slots: Sequence[int]) -> None:
        """Tell the device of the legs that begin, all at once."""
        if not slots:
            return
        board, passengers = self._board, [self.passengers[slot] for slot in slots]
        control = torch.tensor([_control(one) for one in passengers])
        rates = torch.zeros((len(slots), board.rates.shape[1]))
        for row, one in zip(rates, passengers, strict=True):
            own = one.leg_rates()
            row[: len(own)] = own
        chosen = self._sent(slots)
        self._draw_orders(slots)
        for stacked, rows in ((board.control, control), (board.rates, rates)):
            stacked.index_copy_(0, chosen, self._pinned(rows).to(stacked.device, non_blocking=True))
        board.step.index_copy_(0, chosen, self._sent([one.step for one in passengers]))
        board.halted.index_fill_(0, chosen, False)
        board.n_ratios.index_fill_(0, chosen, 0)

    def _draw_orders(self, slots: Sequence[int]) -> None:
        """The order of rows in the epochs that begin."""
        order, states = self._board.order, {slot: self.passengers[slot].order_state for slot in slots}
        drawn = {slot: state for slot, state in states.items() if state is not None}
        if drawn:
            rows = shuffled(self._sent(list(drawn.values())), order.shape[1])
            order.index_copy_(0, self._sent(list(drawn)), rows.int())
        for slot in states.keys() - drawn.keys():
            run, epoch = self.passengers[slot].run, self.passengers[slot].leg.resource
            order[slot].copy_(run.order(epoch))

    # A chunk.

    def _chunk(self) -> int:
        """How many steps: to where the first leg ends, in equal parts of about a cell. New trials board where a part
        ends, so that legs end there, too.
        """
        nearest = min(one.left for one in self.passengers.values() if one.left)
        parts = max(1, round(nearest / self._cell))
        return max(-(-nearest // parts), -(-self._cell // 2)) if parts == 1 else -(-nearest // parts)

    def _train(self, n: int) -> None:
        offsets = {offset for one in self.passengers.values() for offset in one.sampled(n)}
        done = 0
        for offset in sorted(offsets):
            self._steps.take(offset - done)
            self._steps.take(1, sampled=True)
            done = offset + 1
        self._steps.take(n - done)
        for one in self.passengers.values():
            one.step += min(n, one.left)

    # After a chunk.

    def _end_legs(self, arrived: Sequence[int]) -> list[int]:
        """Which of those at a leg's end are at their stretch's, too; for the others the next leg begins."""
        if not arrived:
            return []
        chosen = self._sent(arrived)
        logs, ratios = (stacked.index_select(0, chosen).cpu() for stacked in (self._board.log, self._board.ratios))
        passengers = [self.passengers[slot] for slot in arrived]
        over = [one.end_leg(*left) for one, *left in zip(passengers, logs, ratios, strict=True)]
        self._begin_legs([slot for slot, is_over in zip(arrived, over, strict=True) if not is_over])
        return [slot for slot, is_over in zip(arrived, over, strict=True) if is_over]

    def _evaluated(self, chosen: Tensor) -> dict[str, Tensor]:
        """What the slots measure, by fewer rows at a time where there is no memory for as many."""
        while True:
            try:
                return self._measures(chosen, max(1, self._rows_at_once // len(chosen)))
            except Exception as error:
                if not out_of_memory(error) or self._rows_at_once <= len(chosen):
                    raise
            self._rows_at_once //= 2
            if self._stream:
                torch.cuda.empty_cache()

    @torch.no_grad()
    def _measures(self, chosen: Tensor, most: int) -> dict[str, Tensor]:
        self._judged.eval()
        parameters = {name: tensor.index_select(0, chosen) for name, tensor in self.slots.parameters.items()}
        buffers = {name: tensor.index_select(0, chosen) for name, tensor in self.slots.buffers.items()}
        first = next(iter(self.passengers.values())).run
        alone = first.settings.measuring.evaluation_batch or evaluation_batch(self.slots.device)

        def on(examples: EvaluationSet) -> dict[str, Tensor]:
            totals: dict[str, Tensor] = {}
            for part in examples.batches(min(alone, most)):
                found = measures(self._judged, {**parameters, **buffers}, part.inputs, part.targets)
                for name, mean in found.items():
                    totals[name] = totals.get(name, 0) + mean * len(part)
            return {name: total / len(examples) for name, total in totals.items()}

        further = {name: on(examples) for name, examples in self._data.also.items()}
        values = named_measures(on(self._data.validation), on(self._data.train_subset)["loss"], further)
        return {**values, "weight_norm": norms(parameters)}

    def _sent(self, numbers: Sequence[int]) -> Tensor:
        return self._pinned(torch.tensor(list(numbers))).to(self.slots.device, non_blocking=True)

    def _pinned(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if self._stream else tensor


def _control(one: Passenger) -> list[int]:
    run = one.run
    per_epoch, size = run.steps_per_epoch, run.settings.batches.batch_size
    return [
        one.leg.last,
        one.leg.first,
        one.stretch.last - 1,
        per_epoch,
        size,
        n_rest(len(run.data.train), size),
        run.total_steps,
        stream_key(run.seed),
    ]
