"""One virtual environment for each peer whose requirements conflict with ours, under ~/.cache/tuner/peers.

    python benchmarks/search/environments.py [syne-tune smac neps dehb]

Each holds one peer, what the problems need (numpy, pydantic, onnxruntime) and nothing of this project, which `run.py`
puts on its path. Optuna and Ray Tune run in the project's own environment; LCBench needs onnxruntime there, too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path.home() / ".cache" / "tuner" / "peers"

PROBLEMS = ("numpy", "onnxruntime", "pydantic>=2.11,<3")

PEERS = {
    # huggingface_hub: its conformal methods import it, and only its heaviest extra asks for it.
    "syne-tune": ("syne-tune==0.16.0", "huggingface_hub", "xgboost"),
    "smac": ("smac==2.4.1",),
    # A bare torch brings several GB for GPUs; this version has a build for the CPU alone where the project is tested.
    "neps": ("neural-pipeline-search==0.17.0", "torch==2.13.0"),
    "dehb": ("dehb==0.1.2",),
}


def python_of(peer: str) -> Path:
    """The interpreter that `peer` runs in: the current one for those without an environment of their own.

    Raises SystemExit, with the command to type, where the environment was not made.
    """
    if peer not in PEERS:
        return Path(sys.executable)
    python = FOLDER / peer / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{peer} has no environment: python benchmarks/search/environments.py {peer}")
    return python


def make(peer: str) -> None:
    """Create the peer's environment and install into it; pip's own error ends the program."""
    venv.create(FOLDER / peer, with_pip=True, clear=True)
    install = [str(python_of(peer)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *PROBLEMS, *PEERS[peer]], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", default=[*PEERS], help=f"of {', '.join(PEERS)} (all)")
    for peer in parser.parse_args().peers:
        if peer not in PEERS:
            parser.error(f"no such peer: {peer} (there are {', '.join(PEERS)})")
        make(peer)


if __name__ == "__main__":
    main()
