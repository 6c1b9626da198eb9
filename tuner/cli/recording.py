"""`tune record`: a finished study as a table of curves."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from tuner.cli.reading import print_json
from tuner.cli.tables import console
from tuner.store import open_store
from tuner.workflows.recording import record as record_study
from tuner.workflows.study import Study


def record(name: str, store: str | None, output: Path | None, *, as_json: bool) -> None:
    """Write the table, and say what is in it."""
    study = Study(open_store(store, create=False), name)
    path = output or Path(f"{name}.parquet")
    table = record_study(study, path)
    reach = study.spec.scheduler.max_resource
    whole = table.rows_reaching(reach)
    if as_json:
        print_json(
            {
                "table": str(path),
                "configurations": len(table),
                "reports": sum(map(len, table.curves)),
                "whole": whole,
                "max_resource": reach,
                "unit": table.unit,
                "metrics": list(table.metrics),
            }
        )
        return
    out = console()
    lines = [f"recorded {len(table)} configurations of {name}: {path}", f"  metrics: {', '.join(table.metrics)}"]
    lines.append(f"  {whole} of the curves tell a whole training, to {table.unit} {reach}")
    if whole < len(table):
        lines.append("  only they can answer for trials that may go so far: a study with scheduler none records more")
    lines.append(f"replay it   tune compare SPEC --methods random,tpe,asha+tpe --repeats 30 --replay {path}")
    for line in lines:
        out.print(escape(line), soft_wrap=True, highlight=False)
