"""The store: studies, their journals, trials and commands, and comparisons of them, in SQLite or PostgreSQL."""

from tuner.store._base import (
    EventKind,
    Holder,
    JournalEntry,
    PostedCommand,
    Remark,
    StudyOutline,
    StudyRecord,
    StudyState,
    StudyStore,
    Writer,
)
from tuner.store._comparisons import ComparisonPlan, ComparisonRecord, ComparisonRun, Comparisons, Replay
from tuner.store._values import ReportValues
from tuner.store.lease import HEARTBEAT_SECONDS, LEASE_SECONDS
from tuner.store.opening import default_store_url, open_store, shown_store
from tuner.store.sql_store import SqlStore

__all__ = [
    "HEARTBEAT_SECONDS",
    "LEASE_SECONDS",
    "ComparisonPlan",
    "ComparisonRecord",
    "ComparisonRun",
    "Comparisons",
    "EventKind",
    "Holder",
    "JournalEntry",
    "PostedCommand",
    "Remark",
    "Replay",
    "ReportValues",
    "SqlStore",
    "StudyOutline",
    "StudyRecord",
    "StudyState",
    "StudyStore",
    "Writer",
    "default_store_url",
    "open_store",
    "shown_store",
]
