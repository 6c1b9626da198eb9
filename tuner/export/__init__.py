"""Studies in the forms of others: a report that opens without a server, tables."""

from tuner.export.html import html_report
from tuner.export.tables import write_tables

__all__ = ["html_report", "write_tables"]
