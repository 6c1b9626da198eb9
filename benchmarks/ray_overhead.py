"""What a trial costs through Ray: ours against a plain `tune.Tuner` script, with its defaults and with reused actors.

    python benchmarks/ray_overhead.py [--rounds 3] [--trials 512 32 128] [--workers 2] [--record]

No-op trials of at most 5 reports of a loss that depends on the configuration, TPE, ASHA that stops (1, 5, η = 3).
"""

from __future__ import annotations

import functools

from programs import run_program
from record import Record, arguments, take_turns

OURS, DEFAULTS, REUSED = "ours, Ray executor", "plain script, defaults", "plain script, reuse_actors"
AGAINST_DEFAULTS, AGAINST_REUSED = 20, 3

COUNTED = """\
Each turn is a fresh process with a Ray of its own. Trials per second count from after `ray.init` to the end of the run:
ours with its store made, its workers started, every event committed, and the workers sent home; theirs with everything
in `Tuner(...).fit()`. The numbers of trials differ ({counts}): the plain script is slow, and what is compared is rates,
each with its own start-up within. Ray's own start is counted in the process' wall time only, with all imports."""


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument(
        "--trials", type=int, nargs=3, default=(512, 32, 128), help="of ours, defaults, reuse_actors (512 32 128)"
    )
    parser.add_argument("--workers", type=int, default=2, help="Ray's CPUs, one a trial or worker (2)")
    options = parser.parse_args()
    ours, defaults, reused = options.trials
    record = Record("ray-overhead", "Overhead of a trial through Ray", packages=("ray", "optuna", "sqlalchemy"))
    plain = functools.partial(run_program, "peers/ray_plain.py", "--cpus", options.workers, "--trials")
    results = take_turns(
        {
            OURS: lambda: run_program(
                "ours/noop_study.py", "--executor", "ray", "--parallel", options.workers, "--trials", ours
            ),
            DEFAULTS: lambda: plain(defaults),
            REUSED: lambda: plain(reused, "--reuse-actors"),
        },
        options.rounds,
    )
    record.note(COUNTED.format(counts=f"{ours}, {defaults}, {reused}"))
    rates = {name: [turn["trials"] / turn["seconds"] for turn in turns] for name, turns in results.items()}
    ratios = record.table("trials per second", rates, ours=OURS)
    reports = {name: [turn["reports"] / turn["seconds"] for turn in turns] for name, turns in results.items()}
    record.table("reports per second", reports, ours=OURS)
    record.table("seconds after ray.init", {name: [t["seconds"] for t in turns] for name, turns in results.items()})
    walls = {name: [turn["process_seconds"] for turn in turns] for name, turns in results.items()}
    record.table("seconds of the whole process", walls)
    for name, wanted in ((DEFAULTS, AGAINST_DEFAULTS), (REUSED, AGAINST_REUSED)):
        met = ratios[name] >= wanted
        record.target(f"trials per second ≥ {wanted} times {name}", reached=f"{ratios[name]:.1f} times", met=met)
    record.publish(write=options.record)


if __name__ == "__main__":
    main()
