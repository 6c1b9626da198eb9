"""Lane: slots that train together, each a segment of a trial of its own; one that ends makes room for the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, final

import torch

from tuner.errors import SpecError, StopTrial
from tuner.objective import TrialHandle
from tuner.records import Config
from tuner.training import dynamics
from tuner.training.backends import cpu_threads, gpu_arithmetic
from tuner.training.data import TaskData, open_data
from tuner.training.distributed import n_ranks
from tuner.training.evaluation import evaluation_batch
from tuner.training.lanes.fusible import Obstacle, changed, obstacles, setting_obstacles
from tuner.training.lanes.group import Group
from tuner.training.lanes.passenger import Passenger
from tuner.training.lanes.seating import Kind, Seating, is_of_the_device, padded_rows
from tuner.training.lanes.slots import Snapshot
from tuner.training.lanes.structure import Structure, structure
from tuner.training.nonfinite import explain
from tuner.training.randomness import seeded
from tuner.training.ranks import ALONE
from tuner.training.run import Run, open_run
from tuner.training.settings import TrainerSettings
from tuner.training.task import Task
from tuner.training.trainer import flatness


class Ended(NamedTuple):
    """A segment that is over: it came to its end (None), was told to stop (StopTrial), or failed."""

    trial: TrialHandle
    error: StopTrial | Exception | None


@final
class Lane:
    """`width` slots for trials of `task` on `device`, in groups of one kind each, which are made as trials come.

    A trial's `report` must not wait for a decision that another report may bring: it may say `pending` instead, and the
    slot rests until it is `told`.
    """

    def __init__(self, task: Task, width: int, device: str = "cpu", *, threads: int = 1, compiles: bool = True) -> None:
        """`compiles`: a GPU's steps are not only recorded but compiled, which takes some seconds for each kind."""
        self.task, self.device, self.threads = task, torch.device(device), threads
        self._data: TaskData | None = None
        self._seating = Seating(task, width, self.device, compiles=compiles)
        self._fusible: set[Structure] = set()
        self._in_flight: deque[Group] = deque()

    @property
    def width(self) -> int:
        """Slots; fewer than there were to be, where there is no memory for more."""
        return self._seating.width

    @property
    def n_free(self) -> int:
        """How many more segments it takes: an eighth more than it has slots, so that one that ends has a successor."""
        return self.width + self.width // 8 - self.n_aboard

    @property
    def n_aboard(self) -> int:
        """Segments in slots, or waiting for one."""
        return self._seating.n_waiting + sum(len(group.passengers) for group in self._seating.groups)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do: everyone rests until a decision comes, or there is nobody."""
        seating = self._seating
        if self._in_flight or seating.can_seat or any(group.can_train for group in seating.groups):
            return False
        woken = (one for group in seating.groups for one in group.passengers.values() if one.waits and not one.pending)
        return not any(woken) and not any(one.leaves for one in seating.line)

    def place(self, config: Config, trial: TrialHandle) -> None:
        """Take in a segment. Raises SpecError if it cannot be fused, DataError, CheckpointError."""
        with cpu_threads(self.threads):
            data, before = self._opened(config, trial), dict(vars(self.task))
            run = open_run(self.task, config, trial, ALONE, measure=True, data=data)
            if n_ranks(run.settings.distributed, trial) > 1:
                raise SpecError("a lane trains on one device, not on several ranks", path="ranks", hint="Leave it out.")
            kind = self._kind(config, run, changed(self.task, before))
            run.resume(trial.start, trial.checkpoint)
            stretches = deque(run.stretches(trial.start, trial.until))
            passenger = Passenger(config, run, trial, stretches, int(run.clock))
            if stretches:
                passenger.begin()
            self._seating.line_up(kind, passenger)

    def run_to_boundary(self) -> list[Ended]:
        """Train until slots have something to report, or fail; report it. Returns the segments that are over."""
        with cpu_threads(self.threads), gpu_arithmetic(self.device, tf32=False, constant_shapes=True):
            ended = [*self._dismiss(), *self._wake()]
            ended += [Ended(one.trial, error) for one, error in self._seating.seat()]
            for group in self._seating.groups:
                if not group.in_flight and group.can_train:
                    ended += self._guarded(group, self._launch)
            if self._in_flight:
                ended += self._guarded(self._in_flight.popleft(), self._collect)
            return ended

    # Who gets in.

    def _opened(self, config: Config, trial: TrialHandle) -> TaskData:
        """The task's data: its rows in the order of a curriculum, too, once a trial has one."""
        graded = config.get("curriculum") is not None
        if self._data is None or (graded and self._data.easiest_first is None):
            settings = TrainerSettings.from_config(config).batches
            self._data = open_data(self.task, self.device, settings, seed=trial.seed, threads=1)
        return self._data

    def _kind(self, config: Config, run: Run, problem: Obstacle | None) -> Kind:
        own = structure(config, run.settings, run.model)
        # Of each trial: two of one structure may differ in them.
        found = [*setting_obstacles(run.settings), *([problem] if problem else [])]
        if not found and own not in self._fusible:
            found = obstacles(self.task, config, device=str(self.device))
        if found:
            raise SpecError(f"cannot be fused: {found[0].what}", hint=f"Either {found[0].remedy}.")
        self._fusible.add(own)
        return self._seating.kind(own, padded_rows(len(run.data.train), run.settings.batches))

    # What becomes of them.

    def _dismiss(self) -> list[Ended]:
        """Those who wait for a slot and need none: they have nothing to train, or were told to stop."""
        return [Ended(one.trial, one.stop) for one in self._seating.dismiss()]

    def _wake(self) -> list[Ended]:
        """Those whose decision has come go on, or leave."""
        ended = []
        for group in self._seating.groups:
            come = [slot for slot, one in group.passengers.items() if one.waits and not one.pending]
            ended += [Ended(group.leave(s).trial, stop) for s in come if (stop := group.passengers[s].stop)]
            group.begin_stretches([slot for slot in come if slot in group.passengers])
        return ended

    def _guarded(self, group: Group, work: Callable[[Group], list[Ended]]) -> list[Ended]:
        """What fails in the common program is the failure of all that share it, and of nobody else."""
        try:
            return work(group)
        except Exception as error:
            if is_of_the_device(error):
                raise  # nothing can be trained on it any more
            return [Ended(one.trial, error) for one in self._seating.give_up(group)]

    def _launch(self, group: Group) -> list[Ended]:
        group.launch()
        self._in_flight.append(group)
        return []

    def _collect(self, group: Group) -> list[Ended]:
        failed, due = group.collect()
        ended = []
        for slot, step in failed.items():
            one = group.passengers[slot]
            try:
                error: Exception = explain(self._alone(one, group.slots.snapshot([slot]), 0), step)
            except Exception as another:  # noqa: BLE001  (whatever the task's own code raises when it is watched)
                error = another
            ended.append(Ended(group.leave(slot).trial, error))
        return [*ended, *self._report(group, due)] if due else ended

    def _report(self, group: Group, due: list[int]) -> list[Ended]:
        measured, snapshot = group.measured(due)
        ended, go_on = [], []
        for index, (slot, values) in enumerate(zip(due, measured, strict=True)):
            one = group.passengers[slot]
            try:
                flat = self._flatness(one, snapshot, index) if one.stretch.resource == one.run.horizon else {}
            except Exception as error:  # noqa: BLE001  (a model that cannot be differentiated twice, say)
                ended.append(Ended(group.leave(slot).trial, error))
                continue
            metrics = one.metrics(values | flat)
            one.trial.attach(curves=one.run.curves, events=one.run.events)
            one.run.events = []
            kept = partial(_checkpoint, one.checkpoint(), snapshot, index)
            resource = one.stretches.popleft().resource
            try:
                one.trial.report(resource, checkpoint=kept, **metrics)
            except StopTrial as stop:
                ended.append(Ended(group.leave(slot).trial, stop))
                continue
            if one.is_done:
                ended.append(Ended(group.leave(slot).trial, None))
            elif one.pending:
                one.waits = True
            else:
                go_on.append(slot)
        group.begin_stretches(go_on)
        return ended

    def _flatness(self, one: Passenger, snapshot: Snapshot, index: int) -> dict[str, float]:
        measuring = one.run.settings.measuring
        if measuring.sharpness is None and not measuring.hessian:
            return {}
        run = self._alone(one, snapshot, index)
        with seeded(self.device, run.seed, "evaluation", one.stretch.resource, 0):
            return dynamics.to_floats(flatness(run, measuring.evaluation_batch or evaluation_batch(self.device)))

    def _alone(self, one: Passenger, snapshot: Snapshot, index: int) -> Run:
        """The run that the trainer would have, where the slot stands."""
        run = open_run(self.task, one.config, one.trial, ALONE, measure=True)
        model, optimizer = snapshot.of(index)
        run.model.load_state_dict(model)
        run.optimizer.load_state_dict(optimizer)
        return run


def _checkpoint(about: Mapping[str, Any], snapshot: Snapshot, index: int) -> dict[str, Any]:
    model, optimizer = snapshot.of(index)
    return {**about, "model": model, "optimizer": optimizer}
