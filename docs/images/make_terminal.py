"""Makes docs/images/terminal.svg from a real run: python docs/images/make_terminal.py [ARGUMENTS OF `tune`]

Without arguments it runs search_spaces/mnist.yaml, whole, in a temporary folder. Only that folder's name is changed in
what the picture shows. Needs a system with pseudo-terminals.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Sequence
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, LINES = 128, 60
DEFAULT = ["run", "search_spaces/mnist.yaml"]
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


def main(arguments: Sequence[str]) -> None:
    """Run `tune` with `arguments`, and draw the screen as it is at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for data in ("search_spaces", "examples"):
            (folder / data).symlink_to(ROOT / data)
        lines = screen(run(arguments, folder))
        shown = [line.replace(str(folder), "~/tuner") for line in lines]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ tune {' '.join(arguments)}", style="bold"))
    for line in shown:
        console.print(Text.from_ansi(line), soft_wrap=True, highlight=False)
    # Fonts from elsewhere are left out: a picture should not ask the network for anything.
    fonts = re.compile(r"\s*@font-face \{\{.*?\}\}", re.DOTALL)
    console.save_svg(
        str(Path(__file__).with_name("terminal.svg")), title="tune", code_format=fonts.sub("", CONSOLE_SVG_FORMAT)
    )


def run(arguments: Sequence[str], folder: Path) -> str:
    """What `tune` writes to a terminal of COLUMNS x LINES. Exits if it fails."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("TUNER_HOME", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    tune = Path(sys.executable).with_name("tune")
    with subprocess.Popen([tune, *arguments], stdout=theirs, stderr=theirs, cwd=folder, env=environment) as process:  # noqa: S603 - ours
        os.close(theirs)
        written = b""
        while data := _read(ours):
            written += data
    os.close(ours)
    text = written.decode()
    if process.returncode != 0:
        sys.exit(f"tune ended with {process.returncode}:\n{text}")
    return text


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # Linux says so when the other end is closed
        return b""


def screen(written: str) -> list[str]:
    """The lines that remain after the cursor's movements; colours are kept as escape sequences."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\n|\r)", written):
        match = ESCAPE.fullmatch(part)
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif match and match[2] == "A":
            row = max(0, row - int(match[1] or 1))
        elif match and match[2] == "K":
            lines[row] = ""
        elif part != "\r" and (match is None or match[2] == "m"):
            lines[row] += part
    return [line.rstrip() for line in lines]


if __name__ == "__main__":
    main(sys.argv[1:] or DEFAULT)
