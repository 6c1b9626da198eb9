"""Records as rows of the tables, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from sqlalchemy import RowMapping

from tuner.errors import StoreError, TunerError
from tuner.records import (
    Command,
    Commanded,
    CommandKind,
    Config,
    Details,
    Event,
    Failure,
    Report,
    Reported,
    Revised,
    SegmentEnded,
    SegmentIssued,
    StudyEnded,
    TrialState,
    TrialSummary,
    decode_event,
    encode_event,
)
from tuner.spec import StudySpec
from tuner.store._base import Holder, JournalEntry, PostedCommand, StudyState

Row = dict[str, Any]

_STRICT_JSON = ConfigDict(ser_json_inf_nan="strings")
_config: TypeAdapter[Config] = TypeAdapter(Config, config=_STRICT_JSON)
_metrics: TypeAdapter[Mapping[str, float]] = TypeAdapter(Mapping[str, float], config=_STRICT_JSON)
_curves: TypeAdapter[Mapping[str, tuple[float, ...]]] = TypeAdapter(
    Mapping[str, tuple[float, ...]], config=_STRICT_JSON
)
_sentences: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])
_failure: TypeAdapter[Failure] = TypeAdapter(Failure)


def journal_row(study: int, number: int, time: float, event: Event) -> Row:
    """The row of a numbered event; trial and resource are told where the event has them."""
    trial = resource = None
    match event:
        case Reported(report=report):
            trial, resource = report.trial, report.resource
        case SegmentIssued(segment=segment):
            trial = segment.trial
        case SegmentEnded(end=end):
            trial = end.trial
        case Commanded(command=command):
            trial = command.trial
    return {
        "study": study,
        "number": number,
        "time": time,
        "kind": event.event,
        "trial": trial,
        "resource": resource,
        "body": encode_event(event).decode(),
    }


def journal_entry(row: RowMapping) -> JournalEntry:
    """The entry of a row."""
    return JournalEntry(row["number"], row["time"], decode_event(row["body"]))


def report(body: str) -> Report:
    """The report in the body of a row of kind "reported"."""
    return reported(decode_event(body))


def reported(event: Event) -> Report:
    """The report of an event of kind "reported"."""
    assert isinstance(event, Reported)
    return event.report


def details_row(study: int, number: int, report: Report, details: Details) -> Row:
    """The row of what a report carries besides its numbers; `number` is that of the report's event."""
    return {
        "study": study,
        "number": number,
        "trial": report.trial,
        "resource": report.resource,
        "segment": report.segment,
        "curves": _curves.dump_json(details.curves).decode(),
        "events": _sentences.dump_json(details.events).decode(),
    }


def resource_and_details(row: RowMapping) -> tuple[int, Details]:
    """The resource and the details of a row."""
    return row["resource"], Details(_curves.validate_json(row["curves"]), _sentences.validate_json(row["events"]))


def remarks(text: str) -> tuple[str, ...]:
    """The events of details, as they are kept."""
    return _sentences.validate_json(text)


def last_word(events: Iterable[Event]) -> Row:
    """What the events say of the study's end, as columns; none where they say nothing.

    An ended study is open again as soon as it is extended, or gives out a segment; a paused one when it may go on.
    """
    word: Row = {}
    for event in events:
        match event:
            case StudyEnded(reason=reason, failed=failed):
                state = StudyState.FAILED if failed else StudyState.FINISHED
                word = {"ended": state.value, "reason": reason}
            case Commanded(command=Command(kind=CommandKind.PAUSE, trial=None, author=author)):
                word = {"ended": StudyState.PAUSED.value, "reason": f"paused by {author}"}
            case (
                SegmentIssued()
                | Revised()
                | Commanded(command=Command(kind=CommandKind.EXTEND))
                | Commanded(command=Command(kind=CommandKind.UNPAUSE | CommandKind.STOP, trial=None))
            ):
                word = {"ended": "", "reason": ""}
    return word


@contextmanager
def damage_told(what: str) -> Iterator[None]:
    """Rows that do not hold what was written raise StoreError; `what` they are."""
    try:
        yield
    except (ValueError, TypeError, AssertionError) as error:
        raise StoreError(
            f"{what} cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}",
            hint="The store is damaged there, or was changed by something else. Bring back a copy.",
        ) from None


def trial_row(study: int, summary: TrialSummary) -> Row:
    """The row of a trial."""
    return {
        "study": study,
        "number": summary.number,
        "state": summary.state.value,
        "config": _config.dump_json(summary.config).decode(),
        "resource": summary.resource,
        "horizon": summary.horizon,
        "value": summary.value,
        "best_value": summary.best_value,
        "best_resource": summary.best_resource,
        "gap": summary.gap,
        "segments": summary.segments,
        "seconds": summary.seconds,
        "metrics": _metrics.dump_json(summary.metrics).decode(),
        "failure": None if summary.failure is None else _failure.dump_json(summary.failure).decode(),
        "reason": summary.reason,
    }


def trial_summary(row: Sequence[Any]) -> TrialSummary:
    """The trial of a row of all the table's columns, in order: by name, ten thousand trials took twice as long."""
    _, number, state, config, resource, horizon, value, best_value, best_resource, gap, *rest = row
    segments, seconds, metrics, failure, reason = rest
    return TrialSummary(
        number,
        TrialState(state),
        _config.validate_json(config),
        resource,
        horizon,
        value,
        best_value,
        best_resource,
        gap,
        segments,
        seconds,
        _metrics.validate_json(metrics),
        None if failure is None else _failure.validate_json(failure),
        reason,
    )


def command_body(command: Command) -> str:
    """A posted command, in the form that it has in the journal."""
    return encode_event(Commanded(command)).decode()


def posted_command(row: RowMapping) -> PostedCommand:
    """The command of a row."""
    event = decode_event(row["body"])
    assert isinstance(event, Commanded)
    return PostedCommand(row["number"], row["time"], event.command)


def study_row(spec: StudySpec, now: float) -> Row:
    """The row of a new study, without its id."""
    return {"name": spec.study, "spec": spec_text(spec), "digest": spec.digest(), "created": now, "updated": now}


def revised_spec(events: Iterable[Event]) -> Row:
    """The spec that the events leave the study with, as columns; none where they do not revise it."""
    revisions = [event for event in events if isinstance(event, Revised)]
    if not revisions:
        return {}
    spec = StudySpec.from_dict(revisions[-1].after)
    return {"spec": spec_text(spec), "digest": spec.digest()}


def spec_text(spec: StudySpec) -> str:
    """A spec as it is stored."""
    return json.dumps(spec.to_dict(), allow_nan=False)


def metric_name(spec: str) -> str:
    """The name of the metric in a spec as it is stored, be the rest of it readable or not; "" if there is none."""
    try:
        return str(json.loads(spec)["metric"]["name"])
    except (ValueError, TypeError, LookupError):
        return ""


def stored_spec(row: RowMapping) -> StudySpec:
    """The spec of a study's row. Raises StoreError if this version of tuner cannot read it."""
    try:
        return StudySpec.from_dict(json.loads(row["spec"]))
    except (TunerError, ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"study {row['name']!r} has a spec that this version of tuner cannot read: {error}") from None


def holder_columns(holder: Holder) -> Row:
    """Who holds a lease, as columns."""
    return {"host": holder.host, "boot": holder.boot, "pid": holder.pid, "started": holder.started}


def holder(row: RowMapping) -> Holder | None:
    """Who holds the lease of a study's row, dead or alive; None if it was given back."""
    return Holder(row["host"], row["boot"], row["pid"], row["started"]) if row["token"] else None
