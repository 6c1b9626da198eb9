"""Weights alone, for inference: one safetensors file, name -> tensor, that any reader of that format can load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.errors import CheckpointError, UserMistake
from tuner.storage.folder import write_atomically

if TYPE_CHECKING:
    from torch import Tensor


def evaluated_weights(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights that were evaluated, from a trainer's checkpoint: those of `state["model"]`, with the averages of
    `state["averaged"]` in the place of those that were averaged.

    Raises UserMistake for the checkpoint of something else than the trainer.
    """
    import torch

    model, averaged = state.get("model"), state.get("averaged")
    if not isinstance(model, Mapping) or not isinstance(averaged, Mapping | None):
        raise _not_the_trainers(f"it holds {', '.join(map(repr, state)) or 'nothing'}")
    unknown = [name for name in averaged or {} if name not in model]
    if unknown:
        raise _not_the_trainers(f"it has averages of what the model does not have: {', '.join(unknown[:5])}")
    weights = {**model, **(averaged or {})}
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise _not_the_trainers(f"{name!r} is a {type(value).__name__}, not a tensor")
    return weights


def save_weights(state: Mapping[str, Any], path: str | Path) -> None:
    """Write the weights that were evaluated (see `evaluated_weights`) to `path`, at once or not at all.

    They are written from the CPU, contiguous, and apart where they share memory: `safetensors.torch.load_file` and
    `load_state_dict` take them. Raises UserMistake for a checkpoint that is not the trainer's, OSError.
    """
    from safetensors.torch import save

    # Copies: safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in evaluated_weights(state).items()}
    write_atomically(Path(path), save(tensors, metadata={"format": "pt"}))


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file that `save_weights` wrote, by name, on the CPU. Raises CheckpointError if it cannot be
    read, or is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors: dict[str, Tensor] = load(Path(path).read_bytes())
    except OSError as error:
        raise CheckpointError(f"cannot read the weights {path}: {error.strerror or error}") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"the weights {path} are damaged, or no safetensors file: {error}") from error
    return tensors


def _not_the_trainers(why: str) -> UserMistake:
    return UserMistake(
        f"the weights of this checkpoint cannot be told: {why}",
        hint="Only the trainer's checkpoints can be saved as weights: a dict of tensors under 'model'.",
    )
