"""Search methods and their peers on TaskSet-8 and LCBench, on the same simulated workers.

    python benchmarks/search/run.py --methods asha+random,optuna-tpe --out FILE [--benchmarks taskset,lcbench]
        [--seeds 10] [--tasks 8] [--until 40] [--data FOLDER]

Appends one line of JSON for each study to FILE and skips what is there already, so it can be stopped at any time.
`report.py FILE` makes tables of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import methods
from clock import Trace, readings, run
from environments import python_of
from problem import Problem, spread

from tuner.seeds import derive_seed

ROOT = Path(__file__).resolve().parents[2]

N_WORKERS = 8
TRAININGS = 80
READ_AT = (8, 16, 40, 80)

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""A method's own seconds are those of one core."""

Key = tuple[str, str, str, int]
"""Method, benchmark, task, seed."""


def problems(benchmark: str, data: Path, n_tasks: int | None) -> Iterator[Problem]:
    """The tasks of a benchmark, or `n_tasks` evenly spread ones."""
    if benchmark == "taskset":
        from taskset import TaskSet

        file = data / "taskset8.npz"
        names = TaskSet.tasks(file)
        yield from (TaskSet(file, task) for task in spread(names, n_tasks or len(names)))
    else:
        from lcbench import LCBench

        names = LCBench.tasks(data / "lcbench")
        yield from (LCBench(data / "lcbench", task) for task in spread(names, n_tasks or len(names)))


def study(method: str, problem: Problem, seed: int, until: int = TRAININGS) -> dict[str, Any]:
    """One study, as a line of the results. It is left after `until` full trainings, of which the method knows nothing:
    for TaskSet, which is not read at 80.
    """
    budget = TRAININGS * problem.max_resource
    # Tasks share a space: with one seed for all of them, their first configurations would be the same.
    own_seed = derive_seed(seed, problem.benchmark, problem.task) % 2**31
    made, version = methods.make(method, problem, own_seed, budget)
    trace = run(made, problem.curves(), n_workers=N_WORKERS, budget=until * problem.max_resource)
    read_at = [at for at in READ_AT if at <= until]
    return {
        "method": method,
        "version": version,
        "benchmark": problem.benchmark,
        "task": problem.task,
        "seed": seed,
        "readings": {at: problem.score(loss) for at, loss in readings(trace, read_at, problem.max_resource).items()},
        "incumbents": [(units, problem.score(loss)) for units, loss in trace.incumbents],
        **cost(trace),
    }


def cost(trace: Trace) -> dict[str, float]:
    """What the study took."""
    return {"units": trace.units, "n_trials": trace.n_trials, "own_seconds": round(trace.own_seconds, 3)}


def done(file: Path) -> set[Key]:
    """What the file holds; a line that was cut off by a kill is cut away."""
    if not file.exists():
        return set()
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    lines = [json.loads(line) for line in whole.splitlines()]
    return {(line["method"], line["benchmark"], line["task"], line["seed"]) for line in lines}


def run_here(options: argparse.Namespace) -> None:
    """The studies that are missing, in this interpreter: every task before the next seed."""
    known = done(options.out)
    for benchmark in options.benchmarks.split(","):
        tasks = list(problems(benchmark, options.data, options.tasks))
        for seed in range(options.seeds):
            for method in options.methods.split(","):
                for problem in tasks:
                    if (method, benchmark, problem.task, seed) in known:
                        continue
                    line = study(method, problem, seed, options.until)
                    with options.out.open("a", encoding="utf-8") as out:
                        out.write(json.dumps(line) + "\n")
                    print(f"{method} {benchmark} {problem.task} {seed}: {line['own_seconds']:.1f} s", flush=True)


def run_elsewhere(environment: str, names: list[str], options: argparse.Namespace) -> None:
    """The same program in the environment of the peer ("": the project's own)."""
    command = [python_of(environment), __file__, "--here", "--methods", ",".join(names), "--out", options.out]
    command += ["--benchmarks", options.benchmarks, "--data", options.data, "--seeds", options.seeds]
    command += ["--until", options.until, *(["--tasks", options.tasks] if options.tasks else [])]
    environ = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    subprocess.run([str(word) for word in command], check=True, env=environ)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", required=True, help=f"ours, [scheduler+]sampler, or {', '.join(methods.PEERS)}")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--benchmarks", default="taskset,lcbench")
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0, 1, .. (10)")
    parser.add_argument("--tasks", type=int, help="so many tasks of each benchmark, evenly spread (all)")
    parser.add_argument(
        "--until", type=int, default=TRAININGS, help=f"leave after so many full trainings ({TRAININGS})"
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("TUNER_BENCH_DATA"), help="($TUNER_BENCH_DATA)")
    parser.add_argument("--here", action="store_true", help="run in this interpreter, whatever the method")
    options = parser.parse_args()
    if options.data is None:
        parser.error("where is the data? Give --data FOLDER, or set TUNER_BENCH_DATA.")
    if options.here:
        run_here(options)
        return
    wanted = options.methods.split(",")
    for environment in dict.fromkeys(methods.home(name).environment for name in wanted):
        names = [name for name in wanted if methods.home(name).environment == environment]
        run_elsewhere(environment, names, options)


if __name__ == "__main__":
    main()
