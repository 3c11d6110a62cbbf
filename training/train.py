"""Train the default denoiser on a folder of photographs.

    python -m training.train --photographs DIR --out runs/small

Runs on whatever torch finds (a CPU is enough: about an hour and a half on two cores), shows its
progress, writes a checkpoint every few minutes and continues from it when started again with
the same ``--out``.  ``python -m training.export`` turns a checkpoint into shipped weights.

The recipe: v-prediction (arXiv 2202.00512), log-SNR uniform in [-8, 8] for 30 % and in [-3, 5]
for 70 % of the samples, crops of 64, 32 and 16 pixels from all octaves (the codec's coarse
octaves are whole tiny pictures), AdamW with warm-up and cosine decay, an exponential moving
average of the weights, bfloat16 autocast, channels-last.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional as F

from diffc_stream.diffusion.architecture import Architecture, noise_features
from diffc_stream.diffusion.unet import UNet
from training.photographs import Photographs, split

VALIDATION_LEVELS = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)
CROPS = ((64, 16, 0.8), (32, 64, 0.15), (16, 128, 0.05))
"""(side, batch, share of the iterations)."""


def main() -> None:
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(arguments.seed)
    torch.manual_seed(arguments.seed)

    train_paths, held_out = split(arguments.photographs)
    photographs = Photographs(train_paths, rng)
    validation = Photographs(held_out, np.random.default_rng(0)).crops(len(held_out), 128)

    network = UNet(Architecture(widths=arguments.widths, blocks=arguments.blocks)).to(device)
    if arguments.start_from:
        grow(network, torch.load(arguments.start_from, map_location=device, weights_only=True))
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=arguments.rate, betas=(0.9, 0.99), weight_decay=1e-4
    )
    checkpoint = arguments.out / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["iteration"]
        rng = np.random.default_rng((arguments.seed, first))
        photographs = Photographs(train_paths, rng)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("training", total=arguments.iterations, completed=first)
        running, saved = 0.0, time.monotonic()
        for iteration in range(first, arguments.iterations):
            for group in optimiser.param_groups:
                group["lr"] = arguments.rate * schedule(iteration, arguments.iterations)
            side, batch, _ = CROPS[rng.choice(len(CROPS), p=[share for *_, share in CROPS])]
            x = photographs.crops(batch, side).to(device, memory_format=torch.channels_last)
            loss = v_loss(network, x, sample_levels(batch, rng))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            decay = min(0.999, (iteration + 1) / (iteration + 10))
            with torch.no_grad():
                for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
                    slow.lerp_(fast, 1.0 - decay)
            running += 0.01 * (loss.item() - running) if iteration > first else loss.item()
            progress.update(task, advance=1, description=f"loss {running:.4f}")

            last = iteration + 1 == arguments.iterations
            if last or time.monotonic() - saved > arguments.save_every:
                save(
                    checkpoint,
                    {
                        "iteration": iteration + 1,
                        "widths": arguments.widths,
                        "blocks": arguments.blocks,
                        "network": network.state_dict(),
                        "average": average.state_dict(),
                        "optimiser": optimiser.state_dict(),
                    },
                )
                saved = time.monotonic()
            if last or (iteration + 1) % arguments.validate_every == 0:
                table = validate(average, validation.to(device))
                row = "  ".join(f"{level:+.0f}: {psnr:.2f}" for level, psnr in table.items())
                progress.console.print(f"{iteration + 1:>7}  loss {running:.4f}  PSNR at {row}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description=(__doc__ or "").split("\n\n", maxsplit=1)[0],
        epilog="Started again with the same --out, it continues from the last checkpoint.",
    )
    parser.add_argument("--photographs", type=Path, required=True, help="folder to train on")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--widths", type=integers, default=Architecture().widths)
    parser.add_argument("--blocks", type=integers, default=Architecture().blocks)
    parser.add_argument("--start-from", type=Path, metavar="CHECKPOINT", help="grow this network")
    parser.add_argument("--iterations", type=int, default=44_000)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--validate-every", type=int, default=1_000, metavar="ITERATIONS")
    return parser.parse_args()


def grow(network: UNet, smaller: dict[str, Any]) -> None:
    """Start ``network`` as the same function as a trained one with fewer blocks per level.

    Blocks that the smaller one lacks end in a zero convolution: they add nothing until trained.
    """
    weights = smaller["average"]
    own = network.state_dict()
    for name, tensor in own.items():
        if name in weights:
            tensor.copy_(weights[name])
        elif "conv2" in name:
            tensor.zero_()


def integers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def schedule(iteration: int, iterations: int) -> float:
    """Return the learning rate's share of its peak: 400 iterations warm-up, then cosine."""
    warm = min(1.0, (iteration + 1) / 400)
    return warm * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * iteration / iterations)))


def sample_levels(count: int, rng: np.random.Generator) -> Tensor:
    """Draw ``count`` log-SNRs, most of them where most of a stream's bits are spent."""
    wide = rng.random(count) < 0.3
    levels = np.where(wide, rng.uniform(-8, 8, count), rng.uniform(-3, 5, count))
    return torch.from_numpy(levels).float()


def v_loss(network: nn.Module, x: Tensor, levels: Tensor) -> Tensor:
    """Mean squared error of v for clean crops ``x`` (N, 3, S, S) at ``levels`` (N,)."""
    features = torch.tensor([noise_features(level) for level in levels.tolist()]).to(x.device)
    alpha = torch.sigmoid(levels).sqrt().view(-1, 1, 1, 1).to(x.device)
    sigma = torch.sigmoid(-levels).sqrt().view(-1, 1, 1, 1).to(x.device)
    noise = torch.randn_like(x)
    with torch.autocast(x.device.type, torch.bfloat16):
        v = network(alpha * x + sigma * noise, features)
    return F.mse_loss(v.float(), alpha * noise - sigma * x)


@torch.no_grad()
def validate(network: nn.Module, x: Tensor) -> dict[float, float]:
    """Return the mean PSNR (dB, peak 255) of the denoised held-out crops per log-SNR."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    table = {}
    for level in VALIDATION_LEVELS:
        alpha, sigma = (1 / (1 + math.exp(-s * level)) for s in (1, -1))
        z = alpha**0.5 * x + sigma**0.5 * noise
        features = torch.tensor([noise_features(level)] * len(x)).to(x.device)
        estimate = (alpha**0.5 * z - sigma**0.5 * network(z, features)).clamp(-2, 2)
        error = (estimate - x).square().mean(dim=(1, 2, 3)) * (255 / 4) ** 2
        table[level] = float((10 * torch.log10(255**2 / error)).mean())
    return table


def save(path: Path, state: dict[str, object]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


if __name__ == "__main__":
    main()
