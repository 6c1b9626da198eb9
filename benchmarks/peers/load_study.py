"""Puts a study's trials where optuna-dashboard and TensorBoard read them. Runs in the peers' environment.

    python benchmarks/peers/load_study.py TRIALS --optuna FILE --tensorboard FOLDER

TRIALS has a JSON object a line: number, state, params, value, curve (the metric at each report). Optuna's storage gets
all of it, as rows (its own API takes about a minute a thousand trials); TensorBoard one run a trial, with its
hyperparameters and its last value, and nothing of the curve.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

METRIC, BEGAN = "val_loss", 1_790_000_000
LOGS = {"lr", "weight_decay", "clip_norm"}
STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=Path)
    parser.add_argument("--optuna", type=Path, required=True)
    parser.add_argument("--tensorboard", type=Path, required=True)
    options = parser.parse_args()
    trials = [json.loads(line) for line in options.trials.read_text().splitlines()]
    into_optuna(trials, options.optuna)
    into_tensorboard(trials, options.tensorboard)


def into_optuna(trials: list[dict[str, Any]], path: Path) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(storage=f"sqlite:///{path}", study_name="large", direction="minimize")
    axes = {name: distribution(name, trials) for name in sorted({name for trial in trials for name in trial["params"]})}
    written = {name: optuna.distributions.distribution_to_json(axis) for name, axis in axes.items()}
    when = "2026-09-21 12:00:00.000000"
    with closing(sqlite3.connect(path)) as storage:
        for trial in trials:
            key, state = trial["number"] + 1, STATES[trial["state"]]
            row = (key, trial["number"], 1, state, when, when)
            storage.execute(
                "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            storage.executemany(
                "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?, ?, ?, ?)",
                [(key, name, axes[name].to_internal_repr(v), written[name]) for name, v in trial["params"].items()],
            )
            if trial["value"] is not None and state == "COMPLETE":
                storage.execute(
                    "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?, 0, ?, 'FINITE')",
                    (key, trial["value"]),
                )
            storage.executemany(
                "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type) "
                "VALUES (?, ?, ?, ?)",
                [(key, step, v, "NAN" if v is None else "FINITE") for step, v in enumerate(trial["curve"], 1)],
            )
        storage.commit()


def distribution(name: str, trials: list[dict[str, Any]]) -> Any:
    """The axis over which the values that `name` has were drawn, as Optuna says it."""
    import optuna

    values = sorted({trial["params"][name] for trial in trials if name in trial["params"]})
    if isinstance(values[0], int):
        return optuna.distributions.CategoricalDistribution(values)
    return optuna.distributions.FloatDistribution(values[0], values[-1], log=name in LOGS)


def into_tensorboard(trials: list[dict[str, Any]], folder: Path) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams import summary_v2 as hp

    ends = {"complete": api_pb2.STATUS_SUCCESS, "pruned": api_pb2.STATUS_SUCCESS, "failed": api_pb2.STATUS_FAILURE}
    names = sorted({name for trial in trials for name in trial["params"]})
    config = hp.hparams_config_pb([hp.HParam(name, hp.RealInterval(-1e9, 1e9)) for name in names], [hp.Metric(METRIC)])
    write_events(folder, [config])
    for trial in trials:
        value = Summary(value=[Summary.Value(tag=METRIC, simple_value=trial["value"])]) if trial["value"] else None
        start = hp.hparams_pb(trial["params"], trial_id=str(trial["number"]))
        write_events(folder / f"trial-{trial['number']}", [start, value, ended(ends[trial["state"]])])


def ended(status: int) -> Any:
    """What says that a run is over."""
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2, summary_v2

    data = plugin_data_pb2.HParamsPluginData(
        session_end_info=plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=BEGAN + 60.0)
    )
    return summary_v2._summary_pb(metadata.SESSION_END_INFO_TAG, data)


def write_events(folder: Path, summaries: list[Any]) -> None:
    """One event file; tensorboard's own writer would start a thread for each."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    folder.mkdir(parents=True, exist_ok=True)
    events = [Event(wall_time=BEGAN, file_version="brain.Event:2")]
    events += [Event(wall_time=BEGAN, step=1, summary=summary) for summary in summaries if summary is not None]
    with (folder / f"events.out.tfevents.{BEGAN}.host").open("wb") as file:
        for data in (event.SerializeToString() for event in events):
            length = struct.pack("<Q", len(data))
            file.write(length + struct.pack("<I", masked_crc32c(length)))
            file.write(data + struct.pack("<I", masked_crc32c(data)))


if __name__ == "__main__":
    main()
