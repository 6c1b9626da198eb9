"""Contestants as programs: each turn is a fresh process, which prints its result as the last line, in JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from record import FOLDER, ROOT


def run_program(program: str, *options: object) -> dict[str, Any]:
    """Run benchmarks/`program`; its result, with `process_seconds`: from its start to its exit, imports included."""
    return run_command([sys.executable, str(FOLDER / program), *map(str, options)])


def run_command(command: list[str], env: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a command in the repository's root; what it prints, as JSON, with `process_seconds`."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)} failed ({done.returncode}):\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        )
    return {**_last_json(done.stdout), "process_seconds": seconds}


def _last_json(text: str) -> dict[str, Any]:
    """The whole output, or its last line: libraries may print before it."""
    try:
        result = json.loads(text)
    except ValueError:
        result = json.loads(text.strip().splitlines()[-1])
    assert isinstance(result, dict)
    return result
