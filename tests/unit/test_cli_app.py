"""`tune app`: what it is started with, and each mistake as one message."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tuner.cli import exploring
from tuner.cli.main import main
from tuner.store import open_store


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


def started(monkeypatch, path, port, address="127.0.0.1"):
    monkeypatch.setattr(exploring.subprocess, "Popen", NoServer)
    monkeypatch.setattr(exploring, "_wait", lambda *where: None)
    exploring.explore(str(path), port=port, address=address, browser=False)
    return NoServer.last


def test_what_the_server_is_started_with(monkeypatch, capsys, path, port):
    server = started(monkeypatch, path, port)
    options = dict(zip(server.command[5::2], server.command[6::2], strict=False))
    assert options["--server.address"] == "127.0.0.1"
    assert options["--browser.gatherUsageStats"] == "false"
    assert options["--client.showErrorDetails"] == "none"
    assert options["--client.toolbarMode"] == "viewer"
    assert options["--server.enableXsrfProtection"] == options["--server.enableCORS"] == "true"
    assert server.environment[exploring.STORE] == str(path)
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert f"http://127.0.0.1:{port}" in said.out
    assert said.err == ""


def test_an_open_address_is_warned_of(monkeypatch, capsys, path, port):
    started(monkeypatch, path, port, "0.0.0.0")
    assert "can read every study" in capsys.readouterr().err


def test_the_variable_is_the_one_that_the_app_reads():
    from app import reading

    assert exploring.STORE == reading.STORE


def test_it_serves_and_ends_quietly(path, port):
    command = [sys.executable, "-m", "tuner.cli", "app", "--no-browser", "--store", str(path), "--port", str(port)]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=dict(os.environ)
    )
    try:
        assert f"http://127.0.0.1:{port}" in running.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=10) as answer:
            assert answer.status == 200
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
