"""What a reader chooses, kept in the address: a link reopens the same view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import reading, showing
from tuner.analysis import StudyView


def study(names: Sequence[str] | None = None) -> StudyView | None:
    """The study that the sidebar names, as it is now; None, and a word on why, if there is none."""
    names = reading.store().names() if names is None else names
    if not names:
        showing.nothing("There are no studies in this store yet.", "Run one: `tune run search_spaces/mnist.yaml`.")
        return None
    chosen = st.sidebar.selectbox("Study", names, key="study", bind="query-params")
    return reading.view(chosen)


def one_of(label: str, options: Sequence[Any], key: str, *, index: int = 0, where: Any = st, **more: Any) -> Any:
    """One of some options, in the address under `key`."""
    return where.selectbox(label, options, index=index, key=key, bind="query-params", **more)
