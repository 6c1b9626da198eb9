"""The way from page to page: what was chosen on one is what the next one shows, and its address says so."""

from __future__ import annotations

import studies
from streamlit.testing.v1 import AppTest

EXPLORER = "from app import going\nfrom app.pages import study\ngoing.arrive()\nstudy.page()"


def test_a_page_shows_what_a_reader_was_sent_to_see(store):
    studies.ordinary(store)
    studies.single(store)
    page = AppTest.from_string(EXPLORER, default_timeout=60)
    page.session_state["choices for the next page"] = {"study": "ordinary", "pinned": "2"}
    page.run()
    assert not page.exception
    assert page.title[0].value == "ordinary"
    assert page.query_params["study"] == "ordinary"
    assert page.dataframe[0].value["trial"].iloc[0] == 2
    page.session_state["choices for the next page"] = {"study": "single"}
    page.run()
    assert page.title[0].value == "single"
