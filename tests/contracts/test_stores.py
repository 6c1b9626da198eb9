"""SqlStore keeps the contract, on SQLite and on PostgreSQL."""

from functools import partial

import pytest
import store_comparisons
import store_processes
import stores

from tuner.store import open_store

CHECKS = [*stores.CHECKS, *store_processes.CHECKS, *store_comparisons.CHECKS]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check, store_url):
    check(partial(open_store, store_url))
