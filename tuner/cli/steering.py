"""`tune stop`, `pause`, `unpause` and `enqueue`: a word to a study that runs in another terminal."""

from __future__ import annotations

import time
from typing import Final, Literal

import yaml
from rich.markup import escape

from tuner.cli.reading import print_json
from tuner.cli.tables import console as terminal
from tuner.errors import UserMistake
from tuner.home import author
from tuner.records import Command, CommandKind, Value
from tuner.store import SqlStore, open_store
from tuner.store.steering import is_taken_up, steer

PATIENCE: Final = 5.0
"""Seconds for which the study is given time to hear a command, before this ends without its answer."""
LOOK: Final = 0.1

BECOMES: Final = {
    CommandKind.STOP: "ends at the next report",
    CommandKind.PAUSE: "rests from the next report on",
    CommandKind.UNPAUSE: "goes on",
    CommandKind.ENQUEUE: "is next",
}


def command(
    word: Literal["stop", "pause", "unpause"], name: str, trials: list[int], store: str | None, *, as_json: bool
) -> None:
    """`tune stop`, `tune pause`, `tune unpause`: of the study, or of each of `trials`."""
    kind = CommandKind(word)
    commands = [Command(kind, author(), trial=trial) for trial in dict.fromkeys(trials)] or [Command(kind, author())]
    whom = f"trial{'s' if len(trials) > 1 else ''} {', '.join(map(str, dict.fromkeys(trials)))}" if trials else "study"
    _say(name, commands, f"{whom} of {name}" if trials else name, store, as_json=as_json)


def enqueue(name: str, settings: list[str], store: str | None, *, as_json: bool) -> None:
    """`tune enqueue`: a configuration, as NAME=VALUE for each axis."""
    config = dict(_setting(text) for text in settings)
    _say(name, [Command(CommandKind.ENQUEUE, author(), config=config)], "the configuration", store, as_json=as_json)


def _say(name: str, commands: list[Command], what: str, store: str | None, *, as_json: bool) -> None:
    opened = open_store(store, create=False)
    numbers = steer(opened, name, *commands)
    heard = opened.study(name).holder is not None and _heard(opened, name, numbers[-1])
    if as_json:
        kind = commands[0].kind.value
        print_json({"study": name, "command": kind, "numbers": numbers, "taken_up": heard})
        return
    console = terminal(stderr=False)
    if heard:
        console.print(f"{escape(what)} {BECOMES[commands[0].kind]}", soft_wrap=True)
    elif opened.study(name).holder is not None:
        console.print(f"posted; {escape(name)} has not taken it up yet (it is busy, or about to end)", soft_wrap=True)
    else:
        console.print(f"posted; it is done when {escape(name)} goes on: tune resume {escape(name)}", soft_wrap=True)


def _heard(store: SqlStore, name: str, number: int) -> bool:
    until = time.monotonic() + PATIENCE
    while not (heard := is_taken_up(store, name, number)) and time.monotonic() < until:
        time.sleep(LOOK)
    return heard


def _setting(text: str) -> tuple[str, Value]:
    name, is_there, value = text.partition("=")
    if not is_there or not name:
        raise UserMistake(f"a setting is NAME=VALUE, got {text!r}", hint="Such as lr=0.01 batch_size=64.")
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        read = value
    if isinstance(read, str):
        try:
            return name, float(read)  # YAML takes 1e-3 for a word
        except ValueError:
            return name, read
    if not isinstance(read, bool | int | float | None):
        raise UserMistake(f"{name}: a value is a number, a word, true, false or null, got {value!r}")
    return name, read
