"""Nobody's face is the place for a traceback: what fails on a page is one message there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from app import showing
from tuner.errors import TunerError

LOG = logging.getLogger("tuner.app")
P = ParamSpec("P")


def guarded(part: Callable[P, None]) -> Callable[P, None]:
    """The page, or the part of one; where it fails, one message, and the traceback in the terminal that started the
    app.
    """

    @wraps(part)
    def show(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            part(*args, **kwargs)
        except TunerError as error:
            st.error(showing.plain(error.message))
            if error.hint:
                st.caption(showing.plain(error.hint))
        except Exception:
            LOG.exception("a page of the explorer failed")
            st.error("This page could not be shown. What went wrong is in the terminal that runs `tune app`.")

    return show


def moving(part: Callable[P, None], every: float | None) -> Callable[P, None]:
    """The part of a page as a fragment that is shown anew every so many seconds (None: never), by itself.

    It has a guard of its own: Streamlit shows what a fragment raises before the page hears of it.
    """
    return st.fragment(guarded(part), run_every=every)
