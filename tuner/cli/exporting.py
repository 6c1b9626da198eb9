"""`tune export`: a study in a form of others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tuner.analysis import StudyView
from tuner.errors import UserMistake, did_you_mean
from tuner.export import html_report, write_tables
from tuner.store import open_store

FORMATS = ("html", "csv", "parquet")


def export(name: str, store: str | None, form: str, output: Path) -> None:
    """Write a study to a new file (html) or into a new folder of tables (csv, parquet)."""
    if form not in FORMATS:
        raise UserMistake(f"no such format: got {form!r}", hint=did_you_mean(form, FORMATS))
    if output.exists():
        raise UserMistake(f"{output} is there already", hint="Name a new one, or remove it first.")
    study = StudyView(open_store(store, create=False, read_only=True), name)
    if form == "html":
        made = f"As of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, made by tune export."
        page = html_report(study, made)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")
        written = [output]
    else:
        written = write_tables(study, output, "csv" if form == "csv" else "parquet")
    for path in written:
        print(f"{path}: {path.stat().st_size / 1e6:,.1f} MB")
