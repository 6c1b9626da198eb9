"""Who sits where: groups of slots are made as trials come, and go when nobody is in them or wants in."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from tuner.errors import TrialFailed
from tuner.failures import out_of_memory
from tuner.records import Config, FailureKind
from tuner.training.data import n_batches, n_rest
from tuner.training.dropout import placed_dropout
from tuner.training.lanes.group import Group
from tuner.training.lanes.passenger import Passenger
from tuner.training.lanes.program import Measures, Rule
from tuner.training.lanes.slots import Slots
from tuner.training.lanes.steps import Board, Program
from tuner.training.lanes.structure import Structure
from tuner.training.randomness import seeded
from tuner.training.settings import BatchSettings
from tuner.training.task import Task

_log = logging.getLogger("tuner")

GROUPS = 4
"""Groups that a wide lane has about: several take turns on the GPU, which works while the host looks after one."""
LEAST_UNIT, MOST_UNIT = 32, 256
"""Bounds on the slots of such a group: fewer leave a GPU idle, more gain nothing."""
NARROWER = 4
"""A group with a passenger in one slot of so many is too wide: each step costs as much as if all were taken."""
LEAST_WIDE = 8
"""Slots of a group that is ever too wide."""
MOST_PROGRAMS = 16
"""Programs that are kept for kinds of which nobody is there."""
LEAST_COMPILED = 32
"""Slots from which on compiling a group's program is worth the seconds."""


@final
@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """What trials of one group have in common: their structure, and the rows of the largest batch, padding included.
    There is one of each in a lane: structures are large, and dear to compare.
    """

    structure: Structure
    n_rows: int


@final
class Seating:
    """At most `width` slots in groups, each of one kind. Where there is no memory for them, `width` shrinks."""

    def __init__(self, task: Task, width: int, device: torch.device, *, compiles: bool) -> None:
        self.width = width
        self._task, self._device = task, device
        self._compiles = compiles and device.type == "cuda"
        self._kinds: dict[tuple[Structure, int], Kind] = {}
        self._waiting: dict[Kind, deque[Passenger]] = {}
        self._groups: dict[Kind, list[Group]] = {}
        self._most: dict[Kind, int] = {}
        """Slots of a group that there is memory for, where that is known."""
        self._uncompiled: set[Kind] = set()
        """What the compiler does not take."""
        self._programs: dict[tuple[Kind, bool], tuple[Program, Measures]] = {}
        self._rules: dict[Structure, Rule] = {}

    @property
    def groups(self) -> list[Group]:
        """All there are."""
        return [group for groups in self._groups.values() for group in groups]

    @property
    def n_waiting(self) -> int:
        """Those without a slot."""
        return sum(len(waiting) for waiting in self._waiting.values())

    def kind(self, structure: Structure, n_rows: int) -> Kind:
        """The one of these."""
        return self._kinds.setdefault((structure, n_rows), Kind(structure, n_rows))

    def line_up(self, kind: Kind, passenger: Passenger) -> None:
        """The passenger waits for a slot."""
        self._waiting.setdefault(kind, deque()).append(passenger)

    @property
    def can_seat(self) -> bool:
        """Whether one of those who wait can have a slot now."""
        return any(
            self._wanted(kind, len(waiting)) > 0 or any(group.n_free for group in self._groups.get(kind, []))
            for kind, waiting in self._waiting.items()
            if waiting
        )

    @property
    def line(self) -> list[Passenger]:
        """Those without a slot."""
        return [one for waiting in self._waiting.values() for one in waiting]

    def give_up(self, group: Group) -> list[Passenger]:
        """Let go of a group, and of all in it."""
        for groups in self._groups.values():
            groups[:] = [other for other in groups if other is not group]
        return list(group.passengers.values())

    def dismiss(self) -> list[Passenger]:
        """Take those out of the line who need no slot."""
        gone: list[Passenger] = []
        for kind, waiting in self._waiting.items():
            leaving = [one.leaves for one in waiting]  # asked once: other threads tell them to stop
            gone += [one for one, goes in zip(waiting, leaving, strict=True) if goes]
            self._waiting[kind] = deque(one for one, goes in zip(waiting, leaving, strict=True) if not goes)
        return gone

    def seat(self) -> list[tuple[Passenger, Exception]]:
        """Give free slots to those who wait, and make groups for others where there is room. Returns those for whom no
        group can be made, and why.
        """
        for kind, waiting in self._waiting.items():
            for group in self._groups.setdefault(kind, []):
                _fill(group, waiting)
        self._tidy()
        self._narrow()
        left: list[tuple[Passenger, Exception]] = []
        for kind, waiting in sorted(self._waiting.items(), key=lambda item: -len(item[1])):
            while width := self._wanted(kind, len(waiting)):
                try:
                    made = self._made(kind, waiting[0], width)
                except Exception as error:
                    if is_of_the_device(error):
                        raise
                    left += [(one, error) for one in waiting]
                    waiting.clear()
                    break
                if made is not None:
                    self._groups[kind].append(made)
                    _fill(made, waiting)
                elif self.groups:
                    self.width = self._n_slots + width // 2  # half may fit
                elif width > 1:
                    self._most[kind] = width // 2
                else:
                    left.append((waiting.popleft(), _too_large()))
        return left

    def _narrow(self) -> None:
        """Where nobody waits, those who are left in a wide group go on in a narrower one, as at a study's end.

        Not where it is compiled: another width takes longer than what they have left.
        """
        for kind, groups in self._groups.items():
            if self._waiting.get(kind):
                continue
            for place, group in enumerate(groups):
                if self._compiles_for(kind, group.slots.width):
                    continue
                n = len(group.passengers)
                if group.in_flight or group.slots.width < LEAST_WIDE or NARROWER * n > group.slots.width:
                    continue
                narrower = self._made(kind, next(iter(group.passengers.values())), _power_of_two(n))
                if narrower is not None:
                    narrower.take_over(group)
                    groups[place] = narrower

    def _wanted(self, kind: Kind, n_waiting: int) -> int:
        """The slots of another group for those who wait; 0 if none is worth it yet.

        Widths are powers of two or the unit, so that groups share programs; where they are compiled, the unit, as each
        width takes seconds. A kind is given more where half as many wait as it has slots.
        """
        room = self.width - self._n_slots
        unit = min(self._unit, self._most.get(kind, MOST_UNIT))
        present = sum(group.slots.width for group in self._groups.get(kind, []))
        if not n_waiting or 2 * n_waiting < min(unit, present):
            return 0
        width = unit if self._compiles_for(kind, unit) else min(unit, _power_of_two(n_waiting))
        return max(0, min(room, width))

    @property
    def _unit(self) -> int:
        """Slots of a group of which there are many to come: each kind that is there has room for one."""
        n_kinds = len({*self._groups, *(kind for kind, waiting in self._waiting.items() if waiting)})
        return min(MOST_UNIT, max(LEAST_UNIT, self.width // max(GROUPS, _power_of_two(n_kinds or 1))))

    def _compiles_for(self, kind: Kind, width: int) -> bool:
        return self._compiles and width >= LEAST_COMPILED and kind not in self._uncompiled

    @property
    def _n_slots(self) -> int:
        """Of all groups that stay."""
        return sum(group.slots.width for kind, groups in self._groups.items() for group in self._staying(kind, groups))

    def _staying(self, kind: Kind, groups: list[Group]) -> list[Group]:
        """Groups with nobody on board, for whose kind nobody waits, make room for others."""
        if self._waiting.get(kind):
            return groups
        return [group for group in groups if group.passengers or group.in_flight]

    def _tidy(self) -> None:
        """Let go of groups that do not stay, and of the oldest programs."""
        for kind, groups in self._groups.items():
            groups[:] = self._staying(kind, groups)
        self._groups = {kind: groups for kind, groups in self._groups.items() if groups or self._waiting.get(kind)}
        self._waiting = {kind: waiting for kind, waiting in self._waiting.items() if waiting}
        unused = [key for key in self._programs if not self._groups.get(key[0]) and key[0] not in self._waiting]
        for key in unused[: max(0, len(self._programs) - MOST_PROGRAMS)]:
            del self._programs[key]

    def _made(self, kind: Kind, passenger: Passenger, width: int) -> Group | None:
        """A new group, ready to train; None if there is no memory for it."""
        try:
            return self._make(kind, passenger, width)
        except Exception as error:
            if not out_of_memory(error):
                raise
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _make(self, kind: Kind, passenger: Passenger, width: int) -> Group:
        run = passenger.run
        slots = Slots(run, width, self._device)
        compiled = self._compiles_for(kind, width)
        if (kind, compiled) not in self._programs:
            model, judged = self._model(passenger.config), self._model(passenger.config)
            rule = self._rules.setdefault(kind.structure, slots.rule)
            smooths = kind.structure.smooths
            program = Program(self._task, model, rule, kind.n_rows, smooths=smooths, compiled=compiled)
            self._programs[kind, compiled] = program, Measures(self._task, judged)
        n_rows = len(run.data.train)
        board = Board.of(width, n_rows, n_batches(n_rows, smallest_batch(kind.n_rows)), self._device)
        group = Group(*self._programs[kind, compiled], slots, board, run.data, run.steps_per_epoch)
        try:
            group.warm_up()
        except Exception as error:
            if not (compiled and is_of_the_compiler(error)):
                raise
            said = str(error).strip().splitlines()[0]
            _log.warning("the step of a lane is recorded, but not compiled, which is slower: %s", said)
            self._uncompiled.add(kind)
            return self._make(kind, passenger, width)
        return group

    def _model(self, config: Config) -> nn.Module:
        with seeded(self._device, 0, "lane"):
            return placed_dropout(self._task.model(config).to(self._device))  # its code; the weights are the slots'


def _power_of_two(n: int) -> int:
    """The least that is not below `n`."""
    return 1 << (n - 1).bit_length()


def _fill(group: Group, waiting: deque[Passenger]) -> None:
    while waiting and group.n_free and not group.in_flight:
        group.place(waiting.popleft())


def padded_rows(n_rows: int, settings: BatchSettings) -> int:
    """The rows that a program has for batches of this size: the next power of two, so that sizes share programs."""
    size = settings.batch_size
    return _power_of_two(max(min(size, n_rows), n_rest(n_rows, size)))


def smallest_batch(n_padded: int) -> int:
    """The least batch size that `padded_rows` gives `n_padded` for, or less."""
    return max(1, n_padded // 2)


def _too_large() -> TrialFailed:
    return TrialFailed(
        "there is no memory for a lane with this trial alone",
        kind=FailureKind.OUT_OF_MEMORY,
        hint="Make the model or the batch smaller, or train it alone: executor: ray halves a batch's parts.",
    )


def is_of_the_device(error: Exception) -> bool:
    """Whether the GPU itself has failed, and not what was asked of it."""
    return not out_of_memory(error) and "CUDA error" in str(error)


def is_of_the_compiler(error: Exception) -> bool:
    """Whether torch.compile did not take a program that runs without it."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
