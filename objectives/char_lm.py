"""Characters of English text: an LSTM or a small transformer says what comes next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from objectives.config import count, probability, word
from objectives.data.text import N_SYMBOLS, help_text, training_and_validation
from tuner.errors import SpecError
from tuner.records import Config
from tuner.training import Splits, Task

FREE_EVERY = 8
"""Of so many rows one is continued in free running, which takes a step for each character."""

State = list[tuple[Tensor, Tensor]]
"""What a network keeps of the characters it has read, a pair for each layer: (h, c) of an LSTM, (keys, values) of a
transformer. An empty list before the first."""


class CharLM(Task):
    """The next character of Python's help texts; nine tenths of the text train, the last tenth chooses.

    A row is a window of `context` characters and, as its target, the window one further. Training windows overlap by
    half, validation windows do not. A configuration may give the `model` (lstm or transformer), its `width` (128),
    `layers` (1), `heads` (4, of the transformer), `dropout` (0), and `sampling`: the probability, at the end of
    training, that the model reads its own guess instead of the text's character; it rises linearly from 0 (scheduled
    sampling, Bengio et al. 2015). It is measured in nats a character ("loss") and bits ("bits"), reading the text; and
    in nats as "free_loss", reading its own greedy guesses over the second half of each window.
    """

    n_classes: ClassVar[int | None] = N_SYMBOLS

    def __init__(self, context: int = 128) -> None:
        if context < 2:
            raise SpecError(f"must be at least 2 characters, got {context}", path="context")
        self.context = context

    def fetch(self) -> None:
        help_text()

    def data(self) -> Splits:
        train, validation = training_and_validation()
        return Splits(
            train=windows(train, self.context, max(1, self.context // 2)),
            validation=windows(validation, self.context, self.context),
        )

    def prepare(self, inputs: Tensor) -> Tensor:
        return inputs.long()  # kept as bytes, an eighth of the memory

    def model(self, config: Config) -> nn.Module:
        width, layers = count(config, "width", 128), count(config, "layers", 1)
        dropout, sampling = probability(config, "dropout"), probability(config, "sampling")
        if word(config, "model", "lstm", ("lstm", "transformer")) == "lstm":
            return LSTM(width, layers, dropout, sampling)
        heads = count(config, "heads", 4)
        if width % heads:
            raise SpecError(f"must divide the width, {width}, got {heads}", path="heads")
        return Transformer(width, layers, heads, self.context, dropout, sampling)

    def forward(self, model: nn.Module, inputs: Tensor, progress: Tensor | None) -> Tensor:
        """Logits (rows, symbols, characters): cross-entropy's order."""
        logits, _ = model(inputs, None, progress)
        return cast("Tensor", logits).transpose(1, 2)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {"bits": functional.cross_entropy(outputs, targets) / math.log(2)}

    def measures(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        free = free_running(model, inputs[::FREE_EVERY], targets[::FREE_EVERY])
        return {**super().measures(model, inputs, targets), "free_loss": free}


def windows(codes: np.ndarray[Any, np.dtype[np.uint8]], context: int, stride: int) -> tuple[Tensor, Tensor]:
    """Windows of `context` characters, one every `stride` (uint8), and what comes after each character (int64).

    Both of shape (windows, context). What is left at the end is too short for a window and is left out.
    """
    both = torch.from_numpy(codes.copy()).unfold(0, context + 1, stride)
    return both[:, :-1].contiguous(), both[:, 1:].long()


def free_running(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The loss of the second half of each row when the model reads the first half and then its own greedy guesses.

    Nats a character, a scalar; inputs and targets (rows, characters). The gap to the loss with the text as input is
    the exposure bias that scheduled sampling is for (Bengio et al. 2015).
    """
    half = inputs.shape[1] // 2
    logits, state = model(inputs[:, : max(1, half)], [], None)
    losses = []
    for position in range(max(1, half), inputs.shape[1]):
        logits, state = model(logits[:, -1:].argmax(2), state, None)
        losses.append(functional.cross_entropy(logits[:, 0], targets[:, position]))
    return torch.stack(losses).mean()


def sampled(logits: Tensor) -> Tensor:
    """A draw of symbols from softmax(logits) over the last dimension, from the default generator of its device.

    The smallest of exponential waiting times whose rates are the probabilities: nothing waits for the device, which
    torch.multinomial's checks may.
    """
    waiting = torch.empty_like(logits, dtype=torch.float32).exponential_()
    return (logits.detach().float() - waiting.log()).argmax(-1)


def mixed_in(truth: Tensor, guesses: Tensor, share: Tensor) -> Tensor:
    """`truth` with each symbol replaced by its guess with probability `share` (a scalar on the device)."""
    return torch.where(torch.rand(truth.shape, device=truth.device) < share, guesses, truth)


class LSTM(nn.Module):
    """Embedding, LSTM layers of equal width, output layer."""

    def __init__(self, width: int, layers: int, dropout: float, sampling: float) -> None:
        super().__init__()
        self.sampling = sampling
        self.embedding = nn.Embedding(N_SYMBOLS, width)
        # One module a layer, with dropout of its own: cuDNN's does not draw from torch's generator.
        self.layers = nn.ModuleList([nn.LSTM(width, width, batch_first=True) for _ in range(layers)])
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, N_SYMBOLS)

    def forward(
        self, tokens: Tensor, state: State | None = None, progress: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Logits (rows, characters, symbols) and the state after `tokens` (rows, characters), read after `state`.

        With `progress` and `sampling`, each input after the first is the model's own draw with probability
        sampling · progress: scheduled sampling as in Bengio et al. 2015, §2.4, character by character.
        """
        state = state or []
        if progress is None or not self.sampling:
            return self.read(tokens, state)
        share = self.sampling * progress
        logits, state = self.read(tokens[:, :1], state)
        all_logits = [logits]
        for position in range(1, tokens.shape[1]):
            inputs = mixed_in(tokens[:, position : position + 1], sampled(logits), share)
            logits, state = self.read(inputs, state)
            all_logits.append(logits)
        return torch.cat(all_logits, 1), state

    def read(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits and state with `tokens` themselves as inputs."""
        hidden = self.dropout(self.embedding(tokens))
        after: State = []
        for depth, layer in enumerate(self.layers):
            hidden, kept = layer(hidden, state[depth] if state else None)
            hidden = self.dropout(hidden)
            after.append(kept)
        return self.output(hidden), after


class Transformer(nn.Module):
    """A causal transformer: learned positions, pre-norm blocks (Radford et al. 2019), output layer."""

    def __init__(self, width: int, layers: int, heads: int, context: int, dropout: float, sampling: float) -> None:
        super().__init__()
        self.sampling = sampling
        self.embedding = nn.Embedding(N_SYMBOLS, width)
        self.positions = nn.Embedding(context, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, N_SYMBOLS)

    def forward(
        self, tokens: Tensor, state: State | None = None, progress: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Logits (rows, characters, symbols) and the state after `tokens` (rows, characters), read after `state`.

        With `progress` and `sampling`, two passes: what the first, without gradient, says of each position takes the
        place of the next input with probability sampling · progress; the second trains (Mihaylova & Martins 2019, §3).
        """
        state = state or []
        if progress is not None and self.sampling:
            with torch.no_grad():
                logits, _ = self.read(tokens, state)
            later = mixed_in(tokens[:, 1:], sampled(logits[:, :-1]), self.sampling * progress)
            tokens = torch.cat([tokens[:, :1], later], 1)
        return self.read(tokens, state)

    def read(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits and state with `tokens` themselves as inputs; after a state only one token at a time."""
        first = state[0][0].shape[2] if state else 0
        places = torch.arange(first, first + tokens.shape[1], device=tokens.device)
        hidden = self.dropout(self.embedding(tokens) + self.positions(places))
        after: State = []
        for depth, block in enumerate(self.blocks):
            hidden, kept = block(hidden, state[depth] if state else None)
            after.append(kept)
        return self.output(self.norm(hidden)), after


class Block(nn.Module):
    """Self-attention and a two-layer perceptron, each behind a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.to_heads = nn.Linear(width, 3 * width)
        self.from_heads = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(rows, characters, width) to the same; keys and values (rows, heads, characters so far, width / heads)."""
        attended, kept = self.attend(self.attention_norm(hidden), past)
        hidden = hidden + self.dropout(attended)
        return hidden + self.dropout(self.perceptron(self.norm(hidden))), kept

    def attend(self, hidden: Tensor, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Causal attention; after a past there is one query, which may see all that was."""
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.to_heads(hidden).chunk(3, 2)
        )
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=past is None)
        return self.from_heads(attended.transpose(1, 2).flatten(2)), (key, value)
