"""`tune app`: starts the explorer's server, and stays until it ends."""

from __future__ import annotations

import errno
import importlib.util
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from tuner.errors import RunFailed, StoreError, UserMistake
from tuner.store import default_store_url, open_store, shown_store
from tuner.tokens import TOKEN, readable_by_others, token_of

STORE: Final = "TUNER_APP_STORE"
"""The environment variable in which the explorer is told which store to show (app.reading.STORE)."""

PATIENCE: Final = 120.0
"""Seconds after which a server that does not answer is given up."""


def explore(store: str | None, *, port: int, address: str, browser: bool, token_file: str | None = None) -> None:
    """Serve the explorer until Ctrl-C. With a token, in the file or in the environment, it can steer studies, too.
    Raises UserMistake where the store, the address, the port or the token will not do.
    """
    script = _script()
    url = _checked(store)
    token = token_of(token_file)
    _check_free(address, port)
    for warning in _warnings(address, token, token_file):
        print(f"warning: {warning}", file=sys.stderr)
    # under no other name: against DNS rebinding by a page in the same browser
    hosts = sorted({"localhost", "127.0.0.1", "::1", address}) if _is_loopback(address) else []
    command = [sys.executable, "-m", "app.entry.server", address, str(port), *hosts]
    path = os.pathsep.join([str(script.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {STORE: url, TOKEN: token, "PYTHONPATH": path}
    before = signal.signal(signal.SIGTERM, _end)
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 (our own interpreter)
    try:
        _wait(server, address, port)
        where = f"http://{_host(address)}:{port}"
        print(f"The explorer shows {shown_store(url)} at {where} (Ctrl-C ends it)", flush=True)
        if browser:
            webbrowser.open(where)
        if server.wait() != 0:
            raise RunFailed("the explorer's server has ended", hint="What it said is above.")
    except KeyboardInterrupt:
        pass
    finally:
        _stop(server)
        signal.signal(signal.SIGTERM, before)


def _script() -> Path:
    """The script of the explorer, which lies beside this package. Raises UserMistake if a part of it is missing."""
    if importlib.util.find_spec("streamlit") is None:
        raise UserMistake("the explorer needs Streamlit, which is not installed", hint="pip install streamlit")
    found = importlib.util.find_spec("tuner")
    assert found is not None
    assert found.origin is not None
    script = Path(found.origin).resolve().parents[1] / "app" / "entry" / "server.py"
    if not script.is_file():
        raise UserMistake(f"the explorer is not installed: there is no {script}", hint="Install the whole package.")
    return script


def _checked(store: str | None) -> str:
    """The store's URL or path, once it is known to be there and readable."""
    url = default_store_url() if store is None else store
    try:
        opened = open_store(url, create=False, read_only=True)
        opened.names()
        opened.close()
    except StoreError as error:
        raise UserMistake(error.message, hint=error.hint) from None
    path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else url
    if "://" not in path and not Path(path).expanduser().is_file():
        raise UserMistake(
            f"there is no store at {path}",
            hint="Run a study first: tune run search_spaces/mnist.yaml. Or name another store: --store URL.",
        )
    return url


def _check_free(address: str, port: int) -> None:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(place)
    except socket.gaierror:
        raise UserMistake(f"no such address: {address!r}", hint="Use --address 127.0.0.1, or leave it out.") from None
    except PermissionError:
        raise UserMistake(f"port {port} may not be used by you", hint="Take one above 1023: --port 8501.") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise UserMistake(
                f"this machine does not have the address {address}", hint="Use --address 127.0.0.1, or leave it out."
            ) from None
        raise UserMistake(
            f"port {port} is in use at {address}",
            hint=f"Take another: tune app --port {port + 1 if port < 65535 else 8501}",
        ) from None


def _warnings(address: str, token: str, token_file: str | None) -> Iterator[str]:
    if not _is_loopback(address):
        yield (
            f"{address} can be reached from other machines: anyone who reaches it can read every study of this store. "
            + ("To read, no token is needed." if token else "There is no password.")
        )
    if not _is_loopback(address) and token:
        yield "the token goes over the network as it is: let TLS or an SSH tunnel stand between this and the browsers."
    if token_file is not None and readable_by_others(token_file):
        yield f"other users of this machine can read {token_file}: chmod 600 {token_file}"


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _host(address: str) -> str:
    """The address as a URL of this machine has it."""
    if address in ("0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        return "127.0.0.1"
    return f"[{address}]" if ":" in address else address


def _wait(server: subprocess.Popen[bytes], address: str, port: int) -> None:
    """Until the server answers. Raises RunFailed if it ends before, or never does."""
    health = f"http://{_host(address)}:{port}/_stcore/health"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RunFailed("the explorer's server did not start", hint="What it said is above.")
        try:
            with direct.open(health, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise RunFailed(f"the explorer's server did not answer within {PATIENCE:.0f} s", hint="Try once more.")


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (a signal handler's arguments)
    raise KeyboardInterrupt


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server; it has had the terminal's Ctrl-C, too, and may be on its way."""
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
