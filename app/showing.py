"""How things are shown: text that stays text, figures and tables that can be downloaded, and why there is nothing."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import streamlit as st

from tuner.plots.style import Figure

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:])")


def plain(text: object) -> str:
    """A name or value from the store for a place that reads Markdown, where it is to stay text."""
    return _MARKDOWN.sub(r"\\\1", str(text).replace("\n", " "))


def number(value: float | None, digits: int = 5) -> str:
    """A number in significant digits; a dash where there is none."""
    return "-" if value is None or value != value else f"{value:.{digits}g}"


def duration(seconds: float | None) -> str:
    """A duration in the units that fit it; a dash where it is not known."""
    if seconds is None or seconds != seconds:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def nothing(why: str, remedy: str = "") -> None:
    """Why there is nothing to see here, and what to do about it. `remedy` is Markdown of the app's own."""
    st.info(f"{why}\n\n{remedy}" if remedy else why, icon=":material/info:")


def figure(
    drawn: Figure, name: str, *, table: pd.DataFrame | None = None, key: str | None = None, **options: Any
) -> Any:
    """A figure, whose toolbar saves it as SVG, and the button that downloads the `table` it was drawn from.

    `name` is the files' name without an ending. Further options are those of st.plotly_chart; what that answers (the
    selection) is the answer.
    """
    image = {"format": "svg", "filename": name, "scale": 2}
    config = {"displaylogo": False, "toImageButtonOptions": image, "modeBarButtonsToRemove": ["lasso2d", "select2d"]}
    shown = st.plotly_chart(drawn, key=key or name, config=config, **options)
    if table is not None:
        download(table, name)
    return shown


def download(table: pd.DataFrame, name: str) -> None:
    """A small button for a table as CSV, which is written only when it is asked for."""
    st.download_button(
        "CSV",
        lambda: table.to_csv(index=table.index.names != [None]).encode(),
        f"{name}.csv",
        "text/csv",
        key=f"download-{name}",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


def table(rows: pd.DataFrame, name: str, **options: Any) -> Any:
    """A table and the button that downloads it. Columns of mixed kinds are shown as text, as Arrow knows none;
    lists of numbers stay what they are, for a column that draws them.
    """
    legible = rows.copy(deep=False)
    for column in rows.columns[[pd.api.types.is_object_dtype(dtype) for dtype in rows.dtypes]]:
        legible[column] = rows[column].map(_cell)
    shown = st.dataframe(legible, key=name, **options)
    download(rows, name)
    return shown


def _cell(value: object) -> object:
    if isinstance(value, list):
        return value
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
