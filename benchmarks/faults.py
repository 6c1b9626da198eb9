"""A fault campaign: studies killed at random moments and resumed, against the same study undisturbed.

    python benchmarks/faults.py [--kill driver|ray|write|database] [--executor local|ray] [--runs 100] [--seed 0]

A run is a study of 12 trials in real processes. Its driver gets SIGKILL 1 to 3 times, at moments drawn uniformly over
the time that an undisturbed run takes, start-up and shut-down included, and each time `tune resume` goes on, or
`tune run` where the study had not been written yet. One that was killed after its end is left as it is. With
`--kill ray` it is a random worker of Ray, or, one time in three, one of Ray's daemons, which takes the driver along.
With `--kill write` the driver dies in a write that the kernel cuts short at a random byte, of a checkpoint or of the
store; or it is killed, and the end of the store's log or of a checkpoint is cut off afterwards, as by a power cut.
With `--kill database` the store is on a PostgreSQL server that crashes, and is started again after up to 5 s.
Then its store and folder are checked (fault_checks.py); with one worker it must be the undisturbed study, bit for bit.
Run k of `--seed N` is `--seed N+k --runs 1`. For Linux.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fault_checks import Violation, left_over_files, story, unequal, violations
from fault_runs import N_TRIALS, NAME, Place, daemons, kill, workers
from fault_writes import LOG, ORDER, drawn_order, lose_power
from postgres_server import PostgresServer
from record import Record, arguments

from tuner.store import StudyState

COLUMNS = ("runs", "kills", "resumes", "lost", "zombies", "duplicated", "unequal", "unfinished", "checkpoints")
DETAILS = ("daemons of Ray killed", "writes cut by the kernel", "power cuts", "outages")
LONGEST_SECONDS = 120.0
LONGEST_OUTAGE = 5.0
POWER_SHARE = 1 / 3
DAEMON_SHARE = 1 / 3
"""How often it is a daemon of Ray that is killed, and not a worker."""


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--runs", type=int, default=100, help="disturbed studies (100)")
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    parser.add_argument("--parallel", type=int, default=None, help="workers (1 with local, 2 with ray)")
    parser.add_argument("--kill", choices=("driver", "ray", "write", "database"), default="driver")
    parser.add_argument("--pause", type=float, default=0.01, help="seconds an epoch (0.01)")
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    options = parser.parse_args()
    if options.kill == "write" and options.executor != "local":
        parser.error("--kill write takes --executor local")
    if options.kill == "ray" and options.executor == "local":
        parser.error("--kill ray takes --executor ray")
    options.server = PostgresServer() if options.kill == "database" else None
    try:
        _campaign(options)
    finally:
        if options.server is not None:
            options.server.stop()


def _campaign(options: Any) -> None:
    options.parallel = options.parallel or (1 if options.executor == "local" else 2)
    name = f"faults-{options.executor}-{options.kill}"
    record = Record(name, f"Killed and resumed: {options.executor} executor, {options.kill}", packages=("sqlalchemy",))
    expected, seconds = _undisturbed(options)
    totals: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.runs):
        print(f"seed {seed}; kills so far: {totals['kills']}", file=sys.stderr, flush=True)
        for violation in _run(seed, options, expected, seconds, totals):
            totals[violation.kind] += 1
            record.note(f"seed {seed}: {violation.kind}: {violation.what}")
            print(f"seed {seed}: {violation}", file=sys.stderr, flush=True)
    cells = " | ".join(str(totals[column]) for column in COLUMNS)
    record.note(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n| {cells} |")
    more = [f"{name}: {totals[name]}." for name in sorted(totals) if name in DETAILS]
    record.note(
        f"An undisturbed run takes {seconds:.1f} s. Killed before the study was written: {totals['anew']}; after its "
        f"end: {totals['late']}. {' '.join(more)} Checkpoint files that nothing refers to: {totals['files']}."
    )
    wrong = sum(totals[column] for column in COLUMNS[3:])
    record.target("no violation", reached=str(wrong), met=wrong == 0)
    record.publish(write=options.record)
    sys.exit(wrong > 0)


def _place(folder: str, options: Any) -> Place:
    server = options.server if options.kill == "database" else None
    return Place(Path(folder), executor=options.executor, parallel=options.parallel, pause=options.pause, server=server)


def _undisturbed(options: Any) -> tuple[dict[str, Any], float]:
    with tempfile.TemporaryDirectory() as folder:
        place = _place(folder, options)
        start = time.monotonic()
        if place.start().wait(LONGEST_SECONDS):
            raise SystemExit(f"the undisturbed study failed:\n{place.said()}")
        seconds = time.monotonic() - start
        found = [*violations(place.store(), NAME, n_trials=N_TRIALS)]
        if found:
            raise SystemExit(f"the undisturbed study is wrong: {found}")
        return story(place.store(), NAME), seconds


def _run(seed: int, options: Any, expected: dict[str, Any], seconds: float, totals: Counter[str]) -> list[Violation]:
    draw = random.Random(seed)
    totals["runs"] += 1
    moments = [draw.uniform(0, seconds) for _ in range(draw.randint(1, 3))]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = _place(folder, options)
        try:
            disturb = DISTURB[options.kill]
            code = disturb(place, moments, draw, totals)
        except subprocess.TimeoutExpired:
            kill(place.leaders[-1])
            return [Violation("unfinished", f"no end within {LONGEST_SECONDS} s: {place.said()}")]
        found = [Violation("unfinished", f"exit code {code}: {place.said()}")] if code else []
        found += [Violation("zombies", f"process {pid}: {title}") for pid, title in place.left_over().items()]
        if not place.there():
            return [*found, Violation("lost", "there is no study")]
        found += violations(place.store(), NAME, n_trials=N_TRIALS, torn=place.torn)
        if options.parallel == 1:
            found += unequal(expected, story(place.store(), NAME))
        totals["files"] += left_over_files(place.store(), NAME)
        return found


def _kill_drivers(place: Place, moments: list[float], _draw: random.Random, totals: Counter[str]) -> int:
    """The last command's exit code."""
    for moment in moments:
        process = place.start()
        try:
            return process.wait(moment)
        except subprocess.TimeoutExpired:
            kill(process.pid)
            process.wait()
        totals["kills"] += 1
        state = place.state()
        if state is StudyState.FINISHED:
            totals["late"] += 1
            return 0
        totals["anew" if state is None else "resumes"] += 1
    return place.start().wait(LONGEST_SECONDS)


def _cut_writes(place: Place, moments: list[float], draw: random.Random, totals: Counter[str]) -> int:
    """The last command's exit code. One time in three it is a power cut, else a write that is cut by the kernel."""
    for moment in moments:
        power = draw.random() < POWER_SHARE
        process = place.start() if power else place.start(**{ORDER: drawn_order(draw), LOG: f"{place.url}-wal"})
        try:
            code = process.wait(moment if power else LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            kill(process.pid)
            process.wait()
            torn = lose_power(Path(place.url), place.folder / "files", draw)
            if torn is not None:
                place.torn.add(torn)
            totals["power cuts"] += 1
        else:
            if code != -signal.SIGXFSZ:
                return code
            totals["writes cut by the kernel"] += 1
        totals["kills"] += 1
        state = place.state()
        if state is StudyState.FINISHED:
            totals["late"] += 1
        totals["anew" if state is None else "resumes"] += state is not StudyState.FINISHED
    return place.start().wait(LONGEST_SECONDS) if place.state() is not StudyState.FINISHED else 0


def _kill_ray(place: Place, moments: list[float], draw: random.Random, totals: Counter[str]) -> int:
    """The last command's exit code. Each moment is counted from the last kill; a daemon's takes the driver along."""
    process, lost = place.start(), False
    for moment in moments:
        try:
            code = process.wait(moment)
        except subprocess.TimeoutExpired:
            lost |= _kill_some_of_ray(process, draw, totals)
            continue
        if code == 0 or not lost:
            return code
        process = _again(place, totals)
    code = process.wait(LONGEST_SECONDS)
    return _again(place, totals).wait(LONGEST_SECONDS) if code and lost else code


def _kill_some_of_ray(process: subprocess.Popen[str], draw: random.Random, totals: Counter[str]) -> bool:
    """Kill a worker, once there is one, or a daemon; whether it was a daemon."""
    daemon = draw.random() < DAEMON_SHARE
    find = daemons if daemon else workers
    while not (pids := find(process.pid)):
        if process.poll() is not None:
            return False
        time.sleep(0.05)
    kill(draw.choice(pids))
    totals["kills"] += 1
    totals["daemons of Ray killed"] += daemon
    return daemon


def _again(place: Place, totals: Counter[str]) -> subprocess.Popen[str]:
    totals["anew" if place.state() is None else "resumes"] += 1
    return place.start()


def _crash_server(place: Place, moments: list[float], draw: random.Random, totals: Counter[str]) -> int:
    """The exit code of the one command, which waits for its server. Each moment is counted from the last start."""
    assert place.server is not None
    process = place.start()
    while not place.there():  # a study that finds no server at its start ends with a message
        if process.poll() is not None:
            return process.returncode
        time.sleep(0.05)
    for moment in moments:
        try:
            return process.wait(moment)
        except subprocess.TimeoutExpired:
            place.server.crash()
            time.sleep(draw.uniform(0, LONGEST_OUTAGE))
            place.server.start()
            totals["kills"] += 1
            totals["outages"] += 1
    return process.wait(LONGEST_SECONDS)


DISTURB = {"driver": _kill_drivers, "ray": _kill_ray, "write": _cut_writes, "database": _crash_server}


if __name__ == "__main__":
    main()
