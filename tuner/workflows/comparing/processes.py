"""Many pure tasks on all cores: each in one of a few processes, whose answers come as they are ready.

Not multiprocessing: that imports the program's main module again in every process, which a script without a guard, or a
notebook, does not survive. A process works with one thread, so that its sums are the same however many there are.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue
from typing import Any, TypeVar

from tuner.errors import RunFailed

T = TypeVar("T")
R = TypeVar("R")

_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from tuner.workflows.comparing.processes import serve; serve()"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def in_processes(function: Callable[[T], R], tasks: Sequence[T], n_processes: int) -> Iterator[tuple[T, R]]:
    """Each task with `function(task)`, as soon as it is known. `function` is one of a module; all is picklable.

    Raises what the function raised, and RunFailed for a process that died. No process is left when this one is closed,
    or dies.
    """
    processes = [_start() for _ in range(min(n_processes, len(tasks)))]
    idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
    for process in processes:
        idle.put(process)

    def done(task: T) -> R:
        process = idle.get()
        try:
            return _ask(process, function, task)
        finally:
            idle.put(process)

    threads = ThreadPoolExecutor(max(len(processes), 1))
    try:
        futures = {threads.submit(done, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
    finally:
        for process in processes:
            process.kill()
        threads.shutdown(cancel_futures=True)
        for process in processes:
            process.communicate()


def serve() -> None:
    """What such a process does: answer tasks until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the one that asks decides
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a task prints is no answer
    while True:
        try:
            function, task = pickle.load(questions)  # noqa: S301 - from the process that started this one
        except EOFError:
            return
        answer: tuple[bool, Any]
        try:
            answer = True, function(task)
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            answer = False, error
        try:
            pickle.dump(answer, answers)
            answers.flush()
        except BrokenPipeError:  # who asked has gone
            os._exit(1)


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _PROGRAM, *sys.path]
    return subprocess.Popen(  # noqa: S603 - this interpreter, and our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | _ONE_THREAD
    )


def _ask(process: subprocess.Popen[bytes], function: Callable[[T], R], task: T) -> R:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        pickle.dump((function, task), process.stdin)
        process.stdin.flush()
        fine, answer = pickle.load(process.stdout)  # noqa: S301 - from a process of ours
    except (EOFError, OSError, pickle.UnpicklingError):
        raise RunFailed(
            "a process that was replaying a study died",
            hint="What was finished is kept; it may have run out of memory. Run the same command again.",
        ) from None
    if not fine:
        raise answer
    result: R = answer
    return result
