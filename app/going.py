"""The way from one page to another, with what it is to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

_PAGES = "pages of the explorer"
_CHOICES = "choices for the next page"


def know(pages: Iterable[Any]) -> None:
    """Remember the pages (of st.Page) that there are to go to, by their paths; the first is the default one."""
    first, *others = pages
    st.session_state[_PAGES] = {page.url_path: page for page in others} | {"": first}


def to(path: str, choices: Mapping[str, Any]) -> None:
    """Leave this page for another one, whose widgets have the values `choices` by their keys, and the address with
    them. Nothing happens where a page is shown alone.
    """
    page = st.session_state.get(_PAGES, {}).get(path)
    if page is not None:
        st.session_state[_CHOICES] = dict(choices)
        st.switch_page(page, query_params={})  # an address with the choices is refused: widgets of this page hold some


def arrive() -> None:
    """Make the choices that the reader was sent here with: before any widget is there.

    Of a widget that the last page did not have, the address has to be told besides.
    """
    for key, value in st.session_state.pop(_CHOICES, {}).items():
        with suppress(StreamlitAPIException):
            st.query_params[key] = str(value)
        st.session_state[key] = value
