"""The explorer's entry: its pages, and what every one of them has. `tune app` starts app/entry/server.py."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import going
from app.guarding import guarded
from app.pages import (
    compare,
    control,
    dynamics,
    generalization,
    hyperparameters,
    strategies,
    studies,
    study,
)

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><g stroke="#0072B2" stroke-width="1.6">'
    '<path d="M3 1v14M8 1v14M13 1v14"/><g fill="#E69F00" stroke="none"><circle cx="3" cy="10" r="2.4"/>'
    '<circle cx="8" cy="5" r="2.4"/><circle cx="13" cy="11" r="2.4"/></g></g></svg>'
)
"""The tab's icon. It is drawn here, since Streamlit's own icons for tabs are fetched from elsewhere."""


PAGES: dict[str, list[tuple[str, str, str, Callable[[], None]]]] = {
    "": [("studies", "Studies", ":material/list:", studies.page)],
    "One study": [
        ("study", "Study", ":material/monitoring:", study.page),
        ("compare", "Compare trials", ":material/stacked_line_chart:", compare.page),
        ("hyperparameters", "Hyperparameters", ":material/tune:", hyperparameters.page),
        ("generalization", "Generalization", ":material/call_split:", generalization.page),
        ("dynamics", "Training dynamics", ":material/ecg_heart:", dynamics.page),
        ("control", "Control", ":material/settings_remote:", control.page),
    ],
    "Methods": [("strategies", "Search strategies", ":material/leaderboard:", strategies.page)],
}


def main() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="tuner", page_icon=ICON, layout="wide")
    pages = {
        section: [
            st.Page(guarded(page), title=title, icon=icon, url_path=path, default=path == "studies")
            for path, title, icon, page in listed
        ]
        for section, listed in PAGES.items()
    }
    going.know(page for listed in pages.values() for page in listed)
    page = st.navigation(pages)
    going.arrive()
    page.run()


if __name__ == "__main__":
    main()
