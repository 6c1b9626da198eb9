"""`tune`: the commands, their arguments, and how errors become exit codes.

Heavy modules are imported inside the commands, so that `tune --help` is quick.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="tune",
    help="Hyperparameter tuning for PyTorch: no lost work, training dynamics that explain themselves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help is quick help
    context_settings={"help_option_names": ["-h", "--help"]},
)

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="A YAML file that describes the study.")]
Name = Annotated[str, typer.Argument(metavar="STUDY", help="The study's name.")]
Numbers = Annotated[
    list[int] | None, typer.Argument(metavar="[TRIAL...]", help="Trials' numbers; none for the study itself.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change the spec, as in budget.trials=8. Repeatable."),
]
Store = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The store: a file or URL. Default: runs/tuner.db.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Trials = Annotated[int | None, typer.Option("--trials", min=1, help="The budget of trials, in all.")]
Minutes = Annotated[float | None, typer.Option("--minutes", min=0.01, help="The budget of minutes, in all.")]
Parallel = Annotated[int | None, typer.Option("--parallel", min=1, help="How many workers.")]
ExecutorName = Annotated[str | None, typer.Option("--executor", help="auto, local, ray or lanes.")]
Address = Annotated[str | None, typer.Option("--address", help="A running Ray cluster: its address, or auto.")]


@app.command()
def run(
    spec: SpecPath,
    sets: Sets = None,
    name: Annotated[str | None, typer.Option("--name", help="The study's name, instead of the spec's.")] = None,
    trials: Trials = None,
    minutes: Minutes = None,
    parallel: Parallel = None,
    executor: ExecutorName = None,
    address: Address = None,
    store: Store = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew, under the next free name.")] = False,
    as_json: Json = False,
) -> None:
    """Run a study; go on with it if it was begun."""
    from tuner.cli import running

    overrides = list(sets or [])
    overrides += [f"study={name}"] if name is not None else []
    overrides += [f"budget.trials={trials}"] if trials is not None else []
    overrides += [f"budget.minutes={minutes}"] if minutes is not None else []
    running.run_spec(
        spec, overrides, store, fresh=fresh, parallel=parallel, executor=executor, address=address, as_json=as_json
    )


@app.command()
def resume(
    study: Name,
    sets: Sets = None,
    trials: Trials = None,
    minutes: Minutes = None,
    parallel: Parallel = None,
    executor: ExecutorName = None,
    address: Address = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Go on with a study; a larger budget or max_resource, or a wider space, extends it."""
    from tuner.cli import running

    running.resume(
        study,
        sets or [],
        store,
        trials=trials,
        minutes=minutes,
        parallel=parallel,
        executor=executor,
        address=address,
        as_json=as_json,
    )


@app.command()
def stop(study: Name, trials: Numbers = None, store: Store = None, as_json: Json = False) -> None:
    """End a running study, or some of its trials, at the next report."""
    from tuner.cli import steering

    steering.command("stop", study, trials or [], store, as_json=as_json)


@app.command()
def pause(study: Name, trials: Numbers = None, store: Store = None, as_json: Json = False) -> None:
    """Let a running study, or some of its trials, rest; its workers give back their GPUs."""
    from tuner.cli import steering

    steering.command("pause", study, trials or [], store, as_json=as_json)


@app.command()
def unpause(study: Name, trials: Numbers = None, store: Store = None, as_json: Json = False) -> None:
    """Let a paused study, or some of its trials, go on."""
    from tuner.cli import steering

    steering.command("unpause", study, trials or [], store, as_json=as_json)


@app.command()
def enqueue(
    study: Name,
    settings: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="A value for each axis, such as lr=0.01.")
    ],
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Have a study try a configuration of yours next."""
    from tuner.cli import steering

    steering.enqueue(study, settings, store, as_json=as_json)


@app.command()
def compare(
    spec: SpecPath,
    methods: Annotated[
        str,
        typer.Option("--methods", help="What to compare, each [scheduler+]sampler, as in grid,random,tpe,asha+tpe."),
    ],
    repeats: Annotated[int, typer.Option("--repeats", help="Runs of each method, with seeds of their own.")] = 3,
    sets: Sets = None,
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="TABLE", help="Replay curves of this table on a virtual clock.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", help="Of each run: trials=N, units=N (epochs or steps) or minutes=M. Default: spec's."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Workers of each run. Default: the spec's; replayed auto is 8."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="From which the repeats' seeds follow.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="The comparison's name. Default: STUDY-compare.")] = None,
    executor: ExecutorName = None,
    address: Address = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Compare search methods at an equal budget, over repeats; go on with it if it was begun."""
    from tuner.cli import comparing

    comparing.compare(
        spec,
        [*(sets or []), *([f"seed={seed}"] if seed is not None else [])],
        methods,
        repeats,
        store,
        replay=replay,
        workers=workers,
        budget=budget,
        name=name,
        executor=executor,
        address=address,
        as_json=as_json,
    )


@app.command()
def record(
    study: Name,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="A new Parquet file. Default: STUDY.parquet, here.")
    ] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Record a finished study's curves as a table, to compare search methods on it."""
    from tuner.cli import recording

    recording.record(study, store, output, as_json=as_json)


@app.command("list")
def list_studies(
    everything: Annotated[bool, typer.Option("--all", help="The runs of comparisons too, which are studies.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """All studies of the store, and all comparisons."""
    from tuner.cli import reading

    reading.list_studies(store, everything=everything, as_json=as_json)


@app.command()
def show(
    study: Name,
    top: Annotated[int, typer.Option("--top", min=1, help="How many trials of the leaderboard.")] = 10,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """A study: how it stands, its best trials. Or a comparison: its verdict."""
    from tuner.cli import reading

    reading.show(study, store, top=top, as_json=as_json)


@app.command()
def trial(
    study: Name,
    number: Annotated[int, typer.Argument(metavar="N", help="The trial's number.")],
    log: Annotated[bool, typer.Option("--log", help="What its objective printed.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """One trial: its configuration, its curve, its log."""
    from tuner.cli import reading

    reading.trial(study, number, store, log=log, as_json=as_json)


@app.command()
def delete(
    study: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: Store = None,
) -> None:
    """Delete a study: its records, its checkpoints, its logs. Or a comparison, with its runs."""
    from tuner.cli import reading

    reading.delete(study, store, yes=yes)


@app.command()
def export(
    study: Name,
    output: Annotated[Path, typer.Argument(metavar="OUT", help="A new file; for tables, a new folder.")],
    form: Annotated[
        str, typer.Option("--format", help="html: a report that opens without a server. csv, parquet: tables.")
    ] = "html",
    store: Store = None,
) -> None:
    """Write a study to a file: a report, or tables of its trials and reports."""
    from tuner.cli import exporting

    exporting.export(study, store, form, output)


@app.command("app")
def explore(
    store: Store = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to serve at.")] = 8501,
    address: Annotated[
        str, typer.Option("--address", help="Where to listen; at any but this machine's own, others can read along.")
    ] = "127.0.0.1",
    token_file: Annotated[
        str | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="The token with which the page Control lets a person steer studies; or set TUNER_APP_TOKEN.",
        ),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Look at studies in the browser, while they run or after; with a token, steer them."""
    from tuner.cli import exploring

    exploring.explore(store, port=port, address=address, browser=not no_browser, token_file=token_file)


@app.command()
def check(
    spec: SpecPath,
    sets: Sets = None,
    no_import: Annotated[
        bool, typer.Option("--no-import", help="Do not import the objective: a stranger's spec names code.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Look into the task: its data, model, loss, gradients, a step's time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a spec without running it."""
    from tuner.cli import checking

    if deep:
        checking.check_deep(spec, list(sets or []), import_objective=not no_import, as_json=as_json)
    else:
        checking.check(spec, list(sets or []), import_objective=not no_import, as_json=as_json)


@app.command()
def schema() -> None:
    """The JSON Schema of specs, for editors."""
    from tuner.cli import checking

    checking.print_schema()


def main(arguments: list[str] | None = None) -> None:
    """The entry point: every mistake is one clear message; exit code 2 for the user's, 1 for a failed run.

    `arguments` are those of the command line, if it is not this process's own.
    """
    from tuner.errors import TunerError

    _write_all_letters()
    try:
        try:
            app(arguments)
        finally:
            _flush()  # here, where what goes wrong can be told
    except TunerError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe has gone: nobody is left to tell
        _drop_output()
        sys.exit(1)
    except OSError as error:
        _drop_output()
        _tell(error)
        sys.exit(1)


def _write_all_letters() -> None:
    """What the terminal's encoding lacks, such as a path's odd bytes, is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    if sys.stdout is not None:  # None: it was closed when this process began
        sys.stdout.flush()


def _tell(error: Exception) -> None:
    if sys.stderr is not None:
        print(f"error: {error}", file=sys.stderr)


def _drop_output() -> None:
    """Let what cannot be written go: Python would try once more at its end, and complain."""
    try:
        _flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
