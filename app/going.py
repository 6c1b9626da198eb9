"""The way from one page to another, with what it is to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

_PAGES = "pages of the explorer"


def know(pages: Iterable[Any]) -> None:
    """Remember the pages (of st.Page) that there are to go to, by their paths; the first is the default one."""
    first, *others = pages
    st.session_state[_PAGES] = {page.url_path: page for page in others} | {"": first}


def to(path: str, address: Mapping[str, str | list[str]]) -> None:
    """Leave this page for another one, whose choices `address` gives. Nothing happens where it is shown alone."""
    page = st.session_state.get(_PAGES, {}).get(path)
    if page is not None:
        st.switch_page(page, query_params=dict(address))
