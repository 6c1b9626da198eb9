"""Images turned and moved at random, on the device they are on, one draw for each."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tuner.errors import SpecError


def rotate_and_shift(images: Tensor, degrees: float, share: float) -> Tensor:
    """Each image turned by its own angle ~ U(-degrees, degrees) and moved by its own ~ U(-share, share) of its height
    and of its width. Same shape and type.

    `images`: floats (rows, channels, height, width) or (rows, height, width). What comes in from outside is the value
    at the border. Draws from the default generator of the images' device, without waiting for it; nothing is drawn
    where both are 0. Raises SpecError if `images` are no images.
    """
    if degrees == 0 and share == 0:
        return images
    if not images.is_floating_point() or images.ndim not in (3, 4):
        raise SpecError(
            f"takes images: floats (rows, channels, height, width) or (rows, height, width), got {images.dtype} of "
            f"shape {tuple(images.shape)}",
            path="rotate" if degrees else "shift",
            hint="Let the Task's prepare make images, or set rotate: 0 and shift: 0.",
        )
    draws = 2 * torch.rand((3, len(images)), device=images.device) - 1
    return moved(images, draws[0] * degrees, draws[1:] * share)


def moved(images: Tensor, degrees: Tensor, shifts: Tensor) -> Tensor:
    """Each image turned anticlockwise about its centre by `degrees` (rows,), then moved by `shifts` (2, rows): down and
    to the right, as shares of its height and width. Bilinear, the border's value outside.
    """
    height, width = images.shape[-2:]
    # The grid is made by hand: affine_grid multiplies matrices, which autocast and TF32 would round.
    y = ((torch.arange(height, device=images.device) + 0.5) / height - 0.5)[:, None]
    x = ((torch.arange(width, device=images.device) + 0.5) / width - 0.5)[None, :]
    down, right = (shift[:, None, None] for shift in shifts)
    y, x = (y - down) * height, (x - right) * width  # in pixels from the centre, so that a turn does not shear
    angle = torch.deg2rad(degrees)[:, None, None]
    sine, cosine = angle.sin(), angle.cos()
    grid = torch.stack([(cosine * x - sine * y) * (2 / width), (sine * x + cosine * y) * (2 / height)], -1)
    wide = images.dtype if images.dtype in (torch.float32, torch.float64) else torch.float32
    stacked = images.to(wide).reshape(len(images), -1, height, width)
    sampled = functional.grid_sample(
        stacked, grid.to(wide), mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled.to(images.dtype).reshape(images.shape)
