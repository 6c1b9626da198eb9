"""SqlStore keeps the contract, on SQLite and on the servers whose URLs $TUNER_TEST_STORES lists (blank-separated).

A server's database must be an empty one: studies are left behind nowhere, but its tables are.
"""

import os
from contextlib import closing
from functools import partial

import pytest
import store_comparisons
import store_processes
import stores

from tuner.store import open_store

SERVERS = os.environ.get("TUNER_TEST_STORES", "").split()


@pytest.fixture(params=["sqlite", *range(len(SERVERS))])
def opener(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'runs' / 'tuner.db'}" if request.param == "sqlite" else SERVERS[request.param]
    with closing(open_store(url)) as store:
        for name in store.comparisons.names():
            store.comparisons.delete(name)
        for study in store.studies():
            store.delete(study.name)
    return partial(open_store, url)


CHECKS = [*stores.CHECKS, *store_processes.CHECKS, *store_comparisons.CHECKS]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check, opener):
    check(opener)
