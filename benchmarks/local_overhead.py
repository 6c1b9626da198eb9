"""What a trial costs in one process: ours through the local executor against Optuna alone, both with SQLite and TPE.

    python benchmarks/local_overhead.py [--rounds 5] [--trials 300] [--record]

The same no-op trials of at most 5 reports as ray_overhead.py, stopped by successive halving (1, 3; ours also at 5).
"""

from __future__ import annotations

from programs import run_program
from record import Record, arguments, take_turns

OURS, OPTUNA = "ours, local executor", "Optuna, SQLite storage"
WANTED = 5


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--trials", type=int, default=300, help="of each (300)")
    options = parser.parse_args()
    record = Record("local-overhead", "Overhead of a trial in one process", packages=("optuna", "sqlalchemy"))
    results = take_turns(
        {
            OURS: lambda: run_program("ours/noop_study.py", "--executor", "local", "--trials", options.trials),
            OPTUNA: lambda: run_program("peers/optuna_plain.py", "--trials", options.trials),
        },
        options.rounds,
    )
    record.note(
        f"Each turn is a fresh process and runs {options.trials} trials. The clock runs over all of `tuner.run(...)`, "
        "and over `create_study` and `optimize`: the database is made within. Ours keeps a folder and a log for each "
        "trial, too. Imports are counted in the process' wall time only."
    )
    rates = {name: [turn["trials"] / turn["seconds"] for turn in turns] for name, turns in results.items()}
    ratios = record.table("trials per second", rates, ours=OURS)
    reports = {name: [turn["reports"] / turn["trials"] for turn in turns] for name, turns in results.items()}
    record.table("reports per trial", reports)
    walls = {name: [turn["process_seconds"] for turn in turns] for name, turns in results.items()}
    record.table("seconds of the whole process", walls)
    met = ratios[OPTUNA] >= WANTED
    record.target(f"trials per second ≥ {WANTED} times Optuna's", reached=f"{ratios[OPTUNA]:.1f} times", met=met)
    record.publish(write=options.record)


if __name__ == "__main__":
    main()
