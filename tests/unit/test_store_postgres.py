"""What a PostgreSQL server does to those who use it: it is away, it refuses, it hangs up, it is shared."""

from __future__ import annotations

from contextlib import closing

import pytest
from databases import connected
from sqlalchemy import make_url, text
from store_samples import spec

from tuner.errors import StoreError, StudyHeld
from tuner.records import Ticked
from tuner.store import open_store


def hang_up(server, url):
    """End all connections to a database, as a server does that is started anew."""
    with connected(server) as connection:
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(text(ours), {"name": make_url(url).database})


def test_after_the_server_hung_up_the_next_transaction_works(postgres_server, postgres_url):
    with closing(open_store(postgres_url)) as store:
        store.create(spec())
        writer = store.write("mnist")
        writer.append([Ticked(1.0)])
        hang_up(postgres_server, postgres_url)
        writer.append([Ticked(2.0)])
        hang_up(postgres_server, postgres_url)
        assert [entry.event for entry in store.journal("mnist")] == [Ticked(1.0), Ticked(2.0)]


def test_several_studies_are_written_at_once(postgres_url):
    with closing(open_store(postgres_url)) as ada, closing(open_store(postgres_url)) as bo:
        ada.create(spec("one"))
        bo.create(spec("two"))
        writers = ada.write("one"), bo.write("two")
        for writer in writers:
            writer.append([Ticked(1.0)])
        assert sorted(ada.names()) == sorted(bo.names()) == ["one", "two"]
        with pytest.raises(StudyHeld):
            bo.write("one")


def test_no_server(tmp_path):
    with pytest.raises(StoreError, match="Connection refused") as refused:
        open_store("postgresql://anna:s3cret@127.0.0.1:1/tuner")
    assert "s3cret" not in str(refused.value)
    assert "Start the server" in str(refused.value.hint)


def test_no_such_database(postgres_server):
    url = postgres_server.set(database="tuner_test_nowhere").render_as_string()
    with pytest.raises(StoreError, match="does not exist") as refused:
        open_store(url)
    assert "createdb" in str(refused.value.hint)


def test_another_driver():
    with pytest.raises(StoreError, match="psycopg"):
        open_store("postgresql+psycopg2://anna@127.0.0.1/tuner")
