"""The explorer's server: Streamlit's, with its pages loaded and its drawing program announced before they are needed.

    python -m app.entry.server ADDRESS PORT [HOST ...]

HOST are the names under which it may be reached; without one, any. `tune app` starts it.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import streamlit
import uvicorn
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.starlette import App
from streamlit.web import bootstrap

SETTINGS: Final = {
    "server.headless": True,  # the browser is opened by who starts this, once the server answers
    "server.fileWatcherType": "none",
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.showEmailPrompt": False,
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "viewer",
    "logger.hideWelcomeMessage": True,
    "logger.level": "error",
    "global.developmentMode": False,
}
NEEDED: Final = ("PlotlyChart", "DataFrame")
"""Programs of Streamlit's that nearly every page needs, and asks for only when its first figure or table arrives."""


class Announced:
    """Middleware that has a browser fetch what a page will need together with the page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        programs = Path(streamlit.__file__).parent / "static" / "static" / "js"
        found = [path.name for name in NEEDED for path in programs.glob(f"{name}.*.js")]
        self._links = [(b"link", f"</static/js/{name}>; rel=modulepreload; crossorigin".encode()) for name in found]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                message["headers"] = [*message["headers"], *self._links]
            await send(message)

        await self._app(scope, receive, sent)


def _is_page(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/html") for name, value in message["headers"])


@asynccontextmanager
async def _loading(_: App) -> AsyncIterator[None]:
    """While the server starts, what every page is made of is loaded: the first reader does not wait for that."""
    threading.Thread(target=importlib.import_module, args=["app.main"], daemon=True, name="load the pages").start()
    yield


app = App(Path(__file__).with_name("explorer.py"), lifespan=_loading, middleware=[Middleware(Announced)])


def main(address: str, port: str, *hosts: str) -> None:
    """Serve until a signal ends it.

    Uvicorn is asked to listen by itself. The socket that `streamlit run` hands to it waits for the browser's
    acknowledgement before each second packet (Nagle's algorithm), 40 ms for each of a page's 150 files.
    """
    options = SETTINGS | {"server.address": address, "server.port": int(port), "server.allowedHosts": list(hosts)}
    bootstrap.load_config_options({name.replace(".", "_"): value for name, value in options.items()})
    uvicorn.run(
        app,
        host=address,
        port=int(port),
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # as Streamlit has it: packing takes longer than the way
        access_log=False,
        log_level="error",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
