"""How segments reach workers: pulled through our mailbox against one Tune trial for each.

    python benchmarks/segments_per_worker.py [--rounds 3] [--segments 2000 300] [--workers 2] [--record]

No-op segments of one report. Behind docs/decisions/0001-workers-pull.md.
"""

from __future__ import annotations

from programs import run_program
from record import Record, arguments, take_turns

PULLED, ONE_EACH = "workers pull", "one Tune trial per segment"


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--segments", type=int, nargs=2, default=(2000, 300), help="pulled, one each (2000 300)")
    parser.add_argument("--workers", type=int, default=2, help="Ray's CPUs, one a worker (2)")
    options = parser.parse_args()
    pulled, one_each = options.segments
    record = Record("segments-per-worker", "How segments reach workers", packages=("ray",))
    results = take_turns(
        {
            PULLED: lambda: run_program("ours/pull_segments.py", "--cpus", options.workers, "--segments", pulled),
            ONE_EACH: lambda: run_program(
                "peers/ray_trial_per_segment.py", "--cpus", options.workers, "--segments", one_each
            ),
        },
        options.rounds,
    )
    record.note(
        f"{pulled} segments pulled, {one_each} as trials, one report each, {options.workers} workers, each turn in a "
        "fresh process. Pulled: our Ray executor, with no controller, sampler or store behind it, and a log file for "
        "each segment. As trials: no searcher, no scheduler, no loggers, reused actors. Time counts from after "
        "`ray.init` to the end of the run; in the last table from the first pull, without the workers' start."
    )
    rates = {name: [turn["segments"] / turn["seconds"] for turn in turns] for name, turns in results.items()}
    record.table("segments per second, start-up included", rates, ours=PULLED)
    record.table("seconds after ray.init", {name: [t["seconds"] for t in turns] for name, turns in results.items()})
    steady = [turn["segments"] / turn["steady_seconds"] for turn in results[PULLED]]
    record.table("segments per second, workers up", {PULLED: steady})
    record.publish(write=options.record)


if __name__ == "__main__":
    main()
