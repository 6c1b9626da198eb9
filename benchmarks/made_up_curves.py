"""Made-up learning curves of the built-in trainer's metrics, for studies that nobody trains."""

from __future__ import annotations

import numpy as np

from tuner.records import Config

NAMES = (
    "val_loss val_accuracy train_eval_loss gap train_loss epoch step samples seconds samples_per_second data_wait"
    " lr grad_norm_p50 grad_norm_p90 grad_norm_p99 grad_norm_max clip_rate update_ratio weight_norm loss_scale"
    " skipped_steps nonfinite_steps memory_peak_mib"
)
METRICS = NAMES.split()
N_SAMPLES = 50_000


def curves(config: Config, draw: np.random.Generator, n_reports: int) -> dict[str, np.ndarray]:
    """Each metric of METRICS over the resources 1 to `n_reports`: the further `lr` lies from 1e-3, the worse."""
    r = np.arange(1.0, n_reports + 1)
    distance = abs(np.log10(config["lr"]) + 3)
    noise = draw.normal(0, 0.01, (5, n_reports))
    steps = N_SAMPLES // config["batch_size"]
    train = (0.02 + 0.1 * distance + 2.2 * r ** -(1.2 / (1 + distance))) * np.exp(noise[0])
    gap = 0.01 + 0.05 * np.sqrt(r / n_reports) * draw.random() + 0.2 * np.abs(noise[1])
    norm = 3 * np.exp(noise[2] - r / n_reports)
    rate = N_SAMPLES / (2 + 100 / config["batch_size"]) * np.exp(noise[3])
    columns = {"val_loss": train + gap, "val_accuracy": np.exp(-0.5 * train), "train_eval_loss": train, "gap": gap}
    columns |= {"train_loss": train * 1.05, "epoch": r, "step": r * steps, "samples": r * N_SAMPLES}
    columns |= {"seconds": N_SAMPLES / rate, "samples_per_second": rate, "data_wait": np.abs(noise[4])}
    columns |= {"lr": config["lr"] * (0.5 + 0.5 * np.cos(np.pi * r / n_reports)), "clip_rate": norm / 4}
    tails = {"p50": 1.0, "p90": 1.7, "p99": 2.9, "max": 4.2}
    columns |= {f"grad_norm_{tail}": norm * times for tail, times in tails.items()}
    columns |= {"update_ratio": 1e-3 * norm, "weight_norm": 20 + np.sqrt(r), "loss_scale": np.ones(n_reports)}
    return columns | {"memory_peak_mib": np.full(n_reports, 212.5)} | dict.fromkeys(METRICS[20:22], np.zeros(n_reports))
