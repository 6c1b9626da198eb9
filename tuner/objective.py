"""What an objective is given (the trial it runs for), and how it is found from its name."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from tuner.errors import ObjectiveError, did_you_mean, shown
from tuner.records import Config

CheckpointState = Mapping[str, Any]
"""What a checkpoint holds: JSON values, NumPy arrays, torch tensors and bytes, in dicts and lists."""


class TrialHandle(Protocol):
    """The second argument of an objective `(config, trial)`: one segment of a trial, from the inside.

    Train from resource `start` (exclusive) to `until` (inclusive) and report at each resource.
    """

    number: int
    seed: int
    """The trial's own seed: the same in each of its segments, another in every trial."""
    start: int
    until: int
    horizon: int
    """The resource over which a schedule is laid out: `until` of the trial's last segment, if it gets that far."""
    unit: str
    """What a unit of resource is: "epoch" or "step"."""
    checkpoint: dict[str, Any] | None
    """What was given to `report` at resource `start`; None on a first segment."""
    folder: Path
    """A folder of the trial's own, for whatever else it writes; what is there is found by its later segments. With an
    object store it is a temporary one, whose files are taken there with every checkpoint and at a segment's end.
    """
    threads: int
    """CPU threads that are this worker's."""
    device: str
    """"cpu" or "cuda": where this worker may compute."""
    gpus: int
    """Whole GPUs that are this worker's: 0 on a CPU, 1 for a share of one."""

    def report(
        self,
        resource: int,
        /,
        *,
        checkpoint: CheckpointState | Callable[[], CheckpointState] | None = None,
        **metrics: float,
    ) -> None:
        """Report `metrics` at `resource`, together with the state to go on from: one event.

        `checkpoint` may be a function without arguments, called only when a checkpoint is due. Raises
        `tuner.StopTrial` when the trial is to end here: let it pass.
        """
        ...

    def attach(self, *, curves: Mapping[str, Sequence[float]] | None = None, events: Sequence[str] = ()) -> None:
        """Let the next report carry `curves` (equally long columns within its stretch, such as the loss of each step)
        and `events` (what happened there, a sentence each). They are kept for people, and decide nothing.
        """
        ...

    def pace(self, seconds: float) -> None:
        """Say how many seconds a unit of resource is going to take, once that can be known: for the time left."""
        ...

    def abandon(self, reason: str) -> NoReturn:
        """End this segment as a time-out although the objective is stuck: for watchdogs, from any thread.

        Does not return: the worker's process ends.
        """
        ...


ObjectiveFunction = Callable[[Config, TrialHandle], float | Mapping[str, float] | None]
"""An imperative objective: any code at all. What it returns, a number or a mapping, counts as a report at max_resource
if it has reported nothing itself.

One that never looks at `trial.horizon` may say so, `objective.uses_horizon = False`: its trials then go on along their
curves when max_resource is raised; those of others start again.
"""


def load_objective(reference: str, search_path: str | Path | None = None) -> Any:
    """The objective that `reference` (`module:attribute`) names, imported; a Task's class is instantiated.

    `search_path` (the current directory, if None) becomes importable and stays so: objectives import their neighbours
    late, too. Raises ObjectiveError, which says what is missing, or which line of the objective's own code failed.
    """
    module_name, attribute = _parse_reference(reference)
    folder = Path(search_path or ".").resolve()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    value: Any = _import(module_name, reference, folder)
    place = getattr(value, "__file__", None) or module_name
    for name in attribute.split("."):
        if not hasattr(value, name):
            public = [key for key in vars(value) if not key.startswith("_")] if hasattr(value, "__dict__") else []
            raise ObjectiveError(f"objective {reference!r}: {place} has no {name!r}", hint=did_you_mean(name, public))
        value = getattr(value, name)
    return check_objective(value, reference)


def check_objective(value: Any, reference: str) -> Any:
    """`value` if it is a Task or a function of (config, trial); an instance if it is a Task's class.

    Raises ObjectiveError otherwise; `reference` is how the message calls it.
    """
    what = f"objective {reference!r}"
    if getattr(value, "__tuner_task__", False) is True:
        return _instantiated(value, what) if isinstance(value, type) else value
    if isinstance(value, type) or not callable(value):
        kind = "a class that is no Task" if isinstance(value, type) else f"{shown(value)}, which cannot be called"
        raise ObjectiveError(f"{what} is {kind}", hint="Name a Task, or a function of (config, trial).")
    if inspect.iscoroutinefunction(value) or inspect.isgeneratorfunction(value):
        raise ObjectiveError(f"{what} is async or a generator", hint="Write a plain function that calls trial.report.")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # some functions written in C tell nothing about themselves
        return value
    try:
        signature.bind({}, None)
    except TypeError:
        raise ObjectiveError(f"{what} takes {signature}", hint="It must take two arguments: (config, trial).") from None
    return value


def reference_to(value: Any) -> str:
    """`module:qualname` of a live function or class (of its class, for an instance)."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}:{named.__qualname__}"


def _parse_reference(reference: str) -> tuple[str, str]:
    module, _, attribute = reference.partition(":")
    if "<locals>" in attribute or "<lambda>" in attribute:
        raise ObjectiveError(
            f"objective {reference!r} is made inside a function, where it cannot be imported from",
            hint="Define it at the top of a module, or pass the function itself: tuner.resume(name, objective).",
        )
    names = [*module.split("."), *attribute.split(".")]
    if module and attribute and not module.endswith(".py") and all(name.isidentifier() for name in names):
        return module, attribute
    if module.endswith(".py"):
        module = module.removesuffix(".py").strip("./").replace("/", ".")
    elif not attribute and "." in module:
        module, _, attribute = module.rpartition(".")
    meant = f"{module or 'module'}:{attribute or 'attribute'}"
    raise ObjectiveError(f"objective {reference!r} must be module:attribute", hint=f"For example: {meant}.")


def _import(name: str, reference: str, folder: Path) -> Any:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ObjectiveError(
                f"objective {reference!r}: there is no module {error.name!r}", hint=_modules_beside(error.name, folder)
            ) from None
        raise failure_of_own_code(
            error, f"objective {reference!r} cannot be imported", "Install it, or correct the name."
        ) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001  (whatever the objective's own code raises)
        raise failure_of_own_code(error, f"objective {reference!r} cannot be imported", "Correct it there.") from None


def _modules_beside(name: str, folder: Path) -> str:
    """The modules in the folder where `name` was looked for, as a hint."""
    *parents, last = name.split(".")
    place = folder.joinpath(*parents)
    found = {path.stem for path in place.glob("*.py")} | {path.parent.name for path in place.glob("*/__init__.py")}
    names = sorted(".".join([*parents, module]) for module in found if module.isidentifier())
    return f"Looked in {place}. {did_you_mean(name, names) if names else f'There is no {last}.py.'}"


def failure_of_own_code(error: BaseException, what: str, remedy: str) -> ObjectiveError:
    """What to raise for an `error` of an objective's own code: its last line, and where it was raised."""
    said = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError):
        return ObjectiveError(f"{what}: {said} ({error.filename}:{error.lineno})", hint=remedy)
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in (__file__, importlib.__file__) and "importlib._bootstrap" not in frame.filename
    ]
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    return ObjectiveError(f"{what}: {said}{place}", hint=remedy)


def _instantiated(task: type, what: str) -> Any:
    try:
        return task()
    except Exception as error:  # noqa: BLE001  (whatever the task's own code raises)
        raise failure_of_own_code(
            error, f"{what} cannot be made", "A Task named in a spec is made without arguments."
        ) from None
