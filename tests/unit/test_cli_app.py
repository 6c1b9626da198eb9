"""`tune app`: what it is started with, and each mistake as one message."""

from __future__ import annotations

import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing

import pytest

from tuner.cli import exploring
from tuner.cli.main import main
from tuner.store import open_store
from tuner.tokens import TOKEN


@pytest.fixture
def port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def path(tmp_path):
    store = open_store(tmp_path / "tuner.db")
    store.close()
    return tmp_path / "tuner.db"


def mistake(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["app", "--no-browser", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_a_store_that_is_not_there(capsys, tmp_path):
    assert "there is no store at" in mistake(capsys, "--store", str(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()


def test_a_broken_url_does_not_show_its_password(capsys):
    said = mistake(capsys, "--store", "postgresql://anna:s3cret@[broken/db")
    assert "s3cret" not in said


def test_a_file_of_something_else(capsys, tmp_path):
    (tmp_path / "text.db").write_text("not a store " * 100)
    assert "error:" in mistake(capsys, "--store", str(tmp_path / "text.db"))


def test_a_port_that_is_taken(capsys, path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert f"port {number} is in use" in mistake(capsys, "--store", str(path), "--port", str(number))


def test_addresses_that_this_machine_does_not_have(capsys, path):
    assert "does not have the address" in mistake(capsys, "--store", str(path), "--address", "203.0.113.7")


def test_without_streamlit_it_says_how_to_get_it(capsys, path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "streamlit" else found(name))
    assert "pip install streamlit" in mistake(capsys, "--store", str(path))


class NoServer:
    """Stands in for the server's process, and remembers how it was started."""

    def __init__(self, command, env, stdout):
        self.command, self.environment = command, env
        NoServer.last = self

    def poll(self):
        return 0

    def wait(self, timeout=None):
        return 0


def started(monkeypatch, path, port, address="127.0.0.1", token_file=None):
    monkeypatch.setattr(exploring.subprocess, "Popen", NoServer)
    monkeypatch.setattr(exploring, "_wait", lambda *where: None)
    exploring.explore(str(path), port=port, address=address, browser=False, token_file=token_file)
    return NoServer.last


def test_what_the_server_is_started_with(monkeypatch, capsys, path, port):
    server = started(monkeypatch, path, port)
    assert server.command[1:5] == ["-m", "app.entry.server", "127.0.0.1", str(port)]
    assert set(server.command[5:]) == {"127.0.0.1", "localhost", "::1"}
    assert server.environment[exploring.STORE] == str(path)
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert f"http://127.0.0.1:{port}" in said.out
    assert said.err == ""


def test_an_open_address_is_warned_of(monkeypatch, capsys, path, port):
    server = started(monkeypatch, path, port, "0.0.0.0")
    assert server.command[5:] == []  # under whatever name it is reached
    assert "can read every study" in capsys.readouterr().err


SECRET = "correct-horse-battery"


@pytest.fixture
def token_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    return file


def test_a_token_goes_to_the_server_by_its_environment_alone(monkeypatch, capsys, path, port, token_file):
    server = started(monkeypatch, path, port, token_file=str(token_file))
    assert server.environment[TOKEN] == SECRET
    assert SECRET not in " ".join(server.command)
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
    assert said.err == ""
    monkeypatch.delenv(TOKEN, raising=False)
    assert started(monkeypatch, path, port).environment[TOKEN] == ""


def test_a_token_that_others_can_read_or_hear_is_warned_of(monkeypatch, capsys, path, port, token_file):
    token_file.chmod(0o644)
    started(monkeypatch, path, port, "0.0.0.0", str(token_file))
    said = capsys.readouterr().err
    assert "chmod 600" in said
    assert "the token goes over the network as it is" in said
    assert "To read, no token is needed" in said


def test_a_token_that_will_not_do_starts_nothing(capsys, path, token_file, monkeypatch):
    token_file.write_text("short")
    said = mistake(capsys, "--store", str(path), "--token-file", str(token_file))
    assert "has 5 characters, and needs at least 16" in said
    assert "cannot be read" in mistake(capsys, "--store", str(path), "--token-file", str(token_file) + "s")
    monkeypatch.setenv(TOKEN, "short")
    assert f"the token in {TOKEN} has 5" in mistake(capsys, "--store", str(path))


def test_the_variable_is_the_one_that_the_app_reads():
    from app import reading

    assert exploring.STORE == reading.STORE


def test_the_server_keeps_to_itself():
    from app.entry.server import SETTINGS

    assert SETTINGS["browser.gatherUsageStats"] is False
    assert SETTINGS["client.showErrorDetails"] == "none"
    assert SETTINGS["server.enableXsrfProtection"] is SETTINGS["server.enableCORS"] is True


def announced(port):
    """The programs that a page announces; each is fetched, on one connection."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/study")
        answer = connection.getresponse()
        assert b"<html" in answer.read()
        links = answer.headers.get_all("link") or []
        for link in links:
            connection.request("GET", link.partition("<")[2].partition(">")[0])
            program = connection.getresponse()
            assert program.status == 200
            assert "javascript" in program.headers["content-type"]
            program.read()
    return links


def talk(port, host, origin=None):
    """The status with which the server answers a page that calls it by that name and wants to talk; the page is one of
    its own, or comes from `origin`.
    """
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Host": host, "Origin": origin or f"http://{host}"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/_stcore/stream", headers=headers | key)
        with connection.getresponse() as answer:
            return answer.status


def test_it_serves_and_ends_quietly(path, port):
    command = [sys.executable, "-m", "tuner.cli", "app", "--no-browser", "--store", str(path), "--port", str(port)]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=dict(os.environ)
    )
    try:
        assert f"http://127.0.0.1:{port}" in running.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=10) as answer:
            assert answer.status == 200
        assert len(announced(port)) == 2
        assert talk(port, f"127.0.0.1:{port}") == 101
        assert talk(port, f"elsewhere.example:{port}") == 403
        for origin in ("http://elsewhere.example", "https://127.0.0.1.example", "null"):  # pages of others, which would
            assert talk(port, f"127.0.0.1:{port}", origin) == 403  # talk as the reader if they could
        time.sleep(0.2)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=30)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
    assert running.returncode in (0, 130)
    assert "Traceback" not in err
    assert "Network URL" not in out + err
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
