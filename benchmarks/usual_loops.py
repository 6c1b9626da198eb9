"""The rivals of the trainer's benchmarks: training loops as they are usually written, in plain torch.

A Dataset is read row by row, DataLoader(shuffle=True) makes the batches, then torch.optim.AdamW, clip_grad_norm_ and
loss.item(). Each contestant is a function that trains an epoch and returns its samples a second.
"""

from __future__ import annotations

import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from objectives.mnist import MEAN, STD

LR, DECAY, CLIP = 1e-3, 0.01, 1.0


class Transforming(Dataset):
    """Bytes, made into a normalised float tensor when a row is read: as ToTensor and Normalize of torchvision do."""

    def __init__(self, inputs, targets):
        self.inputs, self.targets = inputs, targets

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, row):
        image = self.inputs[row].float().div(255)
        return (image - MEAN / 255) / (STD / 255), self.targets[row]


def update(model, optimizer, inputs, targets):
    """One step; its loss on the host, as progress bars show it."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(inputs), targets)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()
    return loss.item()


def adamw(model):
    return torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)


def loader_loop(model, dataset, batch, device, workers=0):
    """Epochs through a DataLoader; memory is pinned where there is a GPU, and workers live on between epochs."""
    model = model.to(device)
    optimizer = adamw(model)
    pinned = device.type == "cuda"
    loader = DataLoader(
        dataset, batch, shuffle=True, num_workers=workers, pin_memory=pinned, persistent_workers=workers > 0
    )

    def epoch():
        model.train()
        for inputs, targets in loader:
            update(model, optimizer, inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True))

    return lambda: rate(epoch, len(dataset), device)


def device_loop(model, inputs, targets, batch, device):
    """Epochs over finished tensors that lie on the device: the fastest that eager torch does with so few lines."""
    model, inputs, targets = model.to(device), inputs.to(device), targets.to(device)
    optimizer = adamw(model)

    def epoch():
        model.train()
        for rows in torch.randperm(len(inputs), device=device).split(batch):
            update(model, optimizer, inputs.index_select(0, rows), targets.index_select(0, rows))

    return lambda: rate(epoch, len(inputs), device)


def rate(epoch, n_samples, device):
    """Samples a second of an epoch, up to the end of what it gave the device to do."""
    started = time.perf_counter()
    epoch()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return n_samples / (time.perf_counter() - started)
