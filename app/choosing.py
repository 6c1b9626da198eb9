"""What a reader chooses, kept in the address: a link reopens the same view."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app import reading, showing
from tuner.analysis import StudyView
from tuner.analysis.curves import Along


def study(names: Sequence[str] | None = None) -> StudyView | None:
    """The study that the sidebar names, as it is now; None, and a word on why, if there is none."""
    names = _names() if names is None else names
    if not names:
        showing.nothing("There are no studies in this store yet.", "Run one: `tune run search_spaces/mnist.yaml`.")
        return None
    chosen = st.sidebar.selectbox("Study", names, key="study", bind="query-params")
    return reading.view(chosen)


def begun_study() -> StudyView | None:
    """The same, where it has trials; None, and a word on why, if it has none yet."""
    chosen = study()
    if chosen is not None and not chosen.trials:
        showing.nothing("This study has no trials yet.", "They appear here as soon as its workers have started.")
        return None
    return chosen


def _names() -> list[str]:
    """All studies but the runs of comparisons, which are many; of these the one that a link or a page has named."""
    store = reading.store()
    runs = {run.study for run in store.comparisons.runs()}
    named = {st.session_state.get("study"), st.query_params.get("study")}
    return [name for name in store.names() if name not in runs or name in named]


def one_of(label: str, options: Sequence[Any], key: str, *, index: int = 0, where: Any = st, **more: Any) -> Any:
    """One of some options, in the address under `key`."""
    return where.selectbox(label, options, index=index, key=key, bind="query-params", **more)


def trials(label: str, placeholder: str, *, where: Any = st, key: str = "trials") -> str:
    """Trials as `tuner.analysis.picking` reads them; in the address, where they may also be given one by one."""
    given = st.query_params.get_all(key)
    if len(given) > 1:
        st.query_params[key] = ", ".join(given)
        st.rerun()
    return str(where.text_input(label, placeholder=placeholder, key=key, bind="query-params") or "")


def along(study: StudyView, measured: Collection[str], *, where: Any = st) -> tuple[Along, str]:
    """What curves run along, of that which their reports tell (the metrics `measured`); and the title of that axis."""
    unit = study.spec.scheduler.unit
    titles = {"resource": f"{unit}s", "step": "steps", "samples": "samples", "seconds": "training and evaluation [s]"}
    chosen: Along = where.segmented_control(
        "Along",
        ["resource", *(name for name in ("step", "samples") if name in measured and name != unit), "seconds"],
        default="resource",
        key="along",
        bind="query-params",
        required=True,
        format_func=lambda name: "seconds" if name == "seconds" else titles[name],
    )
    return chosen, titles[chosen]


def set_to(key: str, value: str) -> None:
    """Choose for the reader, when a button is pressed."""
    st.session_state[key] = value


def link(**pinned: str) -> None:
    """A small button that shows the address of this very view, to be copied.

    `pinned` are choices that may not be in the address as they are the defaults, which can change.
    """
    here = (st.context.url or "").split("?")[0]
    address = {key: st.query_params.get_all(key) for key in st.query_params} | pinned
    with st.popover("Link to this view", icon=":material/link:", type="tertiary"):
        st.code(f"{here}?{urlencode(address, doseq=True)}", language=None, wrap_lines=True)
