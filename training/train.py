"""Train a denoiser on folders of photographs.

    python -m training.train --photographs DIR [DIR ...] --out runs/small

It runs on the device that torch finds, shows its progress, and writes a checkpoint every few
minutes, from which it continues when started again with the same ``--out``.  Every iteration draws
its crops, fields and noise from a generator of its own, so an interruption does not change the
result.  ``python -m training.export`` turns a checkpoint into the weights of a release.

The recipe: v-prediction (arXiv 2202.00512) from observations whose noise has the shape of a random
precision field (training/fields.py), levels uniform in [-8, 8] for 20 % and in [-3, 4] for 80 % of
the samples; the loss is the error weighted by precision, which is the rate that it costs; crops of
128 to 16 pixels from all octaves (the codec's coarse octaves are whole tiny pictures); AdamW, a
learning rate that is constant except for a warm-up and the last fifth, an exponential moving
average of the weights, bfloat16 where the processor has it, channels-last.

``--start-from`` grows a trained network, or goes on from a released one: whatever it lacks is added
so that the same function is computed at first.  ``--compile`` saves a sixth of the time, and takes
a minute for each size of crops before.  On an accelerator ``--batch 256`` and a larger network are
worth their time, such as ``--widths 96,192,384 --blocks 4,2,3`` (12 million parameters).
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from diffc_stream.destination import writing
from diffc_stream.diffusion.architecture import MAP_RANGE, Architecture, field_features
from diffc_stream.diffusion.unet import UNet
from diffc_stream.diffusion.weights import SUFFIX, read_weights
from diffc_stream.errors import UnreadableModel
from training import fields
from training.graphics import graphic
from training.photographs import Photographs, split

VALIDATION_LEVELS = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)
VALIDATION_SIDE = 128
MOST_VALIDATED = 64
"""About so many held-out pictures are enough to compare by, and take a minute."""
CROPS = ((128, 0.25, 0.5), (64, 1, 0.35), (32, 4, 0.1), (16, 8, 0.05))
"""(side, multiple of the batch size, share of the iterations)."""
LEVELS = ((0.0, 0.0625, 0.95, 1.0), (-8.0, -3.0, 4.0, 8.0))
"""The distribution of log-SNRs, piecewise uniform: 80 % are drawn from [-3, 4] alone."""
PREFETCH = 8
"""Batches prepared ahead; cutting crops takes a tenth of an iteration on a CPU."""


def main(argv: list[str] | None = None) -> None:
    """Train until done, or until interrupted: then start again."""
    arguments = parse_arguments(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    train_paths, held_out = [], []
    for folder in arguments.photographs:
        learnt, kept = split(folder, arguments.without)
        train_paths += learnt
        held_out += kept
    graphics = [
        graphic(np.random.default_rng((arguments.seed, i))) for i in range(arguments.graphics)
    ]
    photographs = Photographs(train_paths, graphics)
    held_out = held_out[:: max(1, len(held_out) // MOST_VALIDATED)]
    validation = Photographs(held_out).crops(
        len(held_out), VALIDATION_SIDE, np.random.default_rng(0)
    )

    checkpoint = arguments.out / "checkpoint.pt"
    architecture = Architecture(widths=arguments.widths, blocks=arguments.blocks, shaped=True)
    torch.manual_seed(arguments.seed)
    if checkpoint.exists():
        run = Run.resumed(load(checkpoint, device), arguments.rate, device)
        if run.network.architecture != architecture:
            raise SystemExit(f"{checkpoint} is of another network: {run.network.architecture}")
    else:
        network = UNet(architecture).to(device)
        if arguments.start_from:
            grow(network, weights(arguments.start_from, device))
        run = Run.begun(network, arguments.rate)
    if arguments.compile:
        run.network.compile(dynamic=False)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("training", total=arguments.iterations, completed=run.iteration)
        running, saved = math.nan, time.monotonic()

        def batch(iteration: int) -> Batch:
            return draw(photographs, arguments.batch, (arguments.seed, iteration))

        for drawn in prefetched(batch, range(run.iteration, arguments.iterations)):
            loss = run.step(drawn, arguments.rate * schedule(run.iteration, arguments.iterations))
            running = loss if math.isnan(running) else running + 0.01 * (loss - running)
            progress.update(task, advance=1, description=f"loss {running:.4f}")
            last = run.iteration == arguments.iterations
            if last or time.monotonic() - saved > arguments.save_every:
                with writing(checkpoint) as file:
                    torch.save(run.state(), file)
                saved = time.monotonic()
            if last or run.iteration % arguments.validate_every == 0:
                rows = [f"{run.iteration:>7}  loss {running:.4f}"]
                for ratio in (fields.RATIO, 1.0):
                    table = validate(run.average, validation.to(device), ratio)
                    psnrs = "  ".join(f"{level:+.0f}: {psnr:.2f}" for level, psnr in table.items())
                    rows.append(f"ratio {ratio}: {psnrs}")
                progress.console.print("  |  ".join(rows), soft_wrap=True)


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the command line's flags."""
    default = Architecture()
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description=(__doc__ or "").split("\n\n", maxsplit=1)[0],
        epilog="Started again with the same --out, it continues from the last checkpoint.",
    )
    parser.add_argument(
        "--photographs", type=Path, required=True, nargs="+", metavar="DIR", help="to train on"
    )
    parser.add_argument(
        "--without", nargs="*", default=(), metavar="PREFIX", help="leave out files so called"
    )
    parser.add_argument(
        "--graphics", type=int, default=400, metavar="N", help="generated ones beside (default 400)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--widths", type=integers, default=default.widths, metavar="N,N,...")
    parser.add_argument("--blocks", type=integers, default=default.blocks, metavar="N,N,...")
    parser.add_argument(
        "--start-from", type=Path, metavar="FILE", help="grow this checkpoint or released model"
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile first: a sixth faster after minutes"
    )
    parser.add_argument("--iterations", type=int, default=44_000)
    parser.add_argument("--batch", type=int, default=16, help="crops of 64 pixels an iteration")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="learning rate")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--validate-every", type=int, default=1_000, metavar="ITERATIONS")
    return parser.parse_args(argv)


def integers(text: str) -> tuple[int, ...]:
    """Return the integers of ``text``, separated by commas."""
    return tuple(int(part) for part in text.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The training data of one iteration."""

    x: Tensor
    """Clean crops, (N, 3, S, S), in [-2, 2]."""
    noise: Tensor
    """White, of unit variance, shaped like ``x``."""
    fields: fields.Fields
    """The precisions of each crop's observation."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on ``device``."""
        x, noise = self.x.to(device), self.noise.to(device)
        return Batch(x=x, noise=noise, fields=self.fields.to(device))


@dataclass(slots=True, kw_only=True)
class Run:
    """A network in training, and all state that its next iteration depends on."""

    network: UNet
    average: UNet
    """The exponential moving average of the network's weights: what is validated and shipped."""
    optimiser: torch.optim.Optimizer
    iteration: int = 0

    @classmethod
    def begun(cls, network: UNet, rate: float) -> Run:
        """Return a new run that starts from ``network``."""
        average = copy.deepcopy(network).requires_grad_(False)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=1e-4
        )
        return cls(network=network, average=average, optimiser=optimiser)

    @classmethod
    def resumed(cls, state: dict[str, Any], rate: float, device: torch.device) -> Run:
        """Return the run whose :meth:`state` was saved."""
        run = cls.begun(UNet(Architecture(**state["architecture"])).to(device), rate)
        run.network.load_state_dict(state["network"])
        run.average.load_state_dict(state["average"])
        run.optimiser.load_state_dict(state["optimiser"])
        run.iteration = state["iteration"]
        return run

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "architecture": self.network.architecture.described(),
            "iteration": self.iteration,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def step(self, batch: Batch, rate: float) -> float:
        """Learn from ``batch`` at learning rate ``rate``; return the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        device = next(self.network.parameters()).device
        loss = rate_loss(self.network, batch.to(device))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.iteration += 1
        decay = min(0.999, self.iteration / (self.iteration + 9))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
            for slow, fast in pairs:
                slow.lerp_(fast, 1.0 - decay)
        return loss.item()


def weights(path: Path, device: torch.device) -> dict[str, Tensor]:
    """Return the weights of a model file or of a checkpoint, averaged.

    Raises SystemExit if the file is neither.
    """
    try:
        if path.suffix == SUFFIX:
            return {k: torch.from_numpy(v).to(device) for k, v in read_weights(path)[1].items()}
        averaged: dict[str, Tensor] = load(path, device)["average"]
    except UnreadableModel as error:
        raise SystemExit(str(error)) from error
    except (OSError, EOFError, KeyError, RuntimeError, UnpicklingError) as error:
        raise SystemExit(f"{path}: not a checkpoint: {type(error).__name__}") from error
    return averaged


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Return the state in a checkpoint file."""
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


@torch.no_grad()
def grow(network: UNet, smaller: dict[str, Tensor]) -> None:
    """Start ``network`` as the function of a trained one of fewer blocks, channels or inputs.

    Blocks that the smaller one lacks end in a zero convolution.  What reads channels or inputs that
    it lacks begins at zero, but what makes such channels begins at random: a channel that is
    neither made nor read would never learn.
    """
    for name, tensor in network.state_dict().items():
        if name in smaller:
            # A block's scales come before its shifts, so each half grows by itself.
            parts = 2 if ".film." in name else 1
            known = smaller[name].chunk(parts)
            for part, trained in zip(tensor.chunk(parts), known, strict=True):
                if part.ndim > 1:
                    part[:, trained.shape[1] :] = 0.0
                part[tuple(slice(side) for side in trained.shape)] = trained
        elif "conv2" in name:
            tensor.zero_()


def draw(photographs: Photographs, batch: int, seed: tuple[int, int]) -> Batch:
    """Draw the batch of the iteration with ``seed``."""
    rng = np.random.default_rng(seed)
    side, multiple, _ = CROPS[rng.choice(len(CROPS), p=[share for *_, share in CROPS])]
    x = photographs.crops(max(1, int(batch * multiple)), side, rng)
    noise = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32))
    return Batch(x=x, noise=noise, fields=fields.draw(sample_levels(len(x), rng), side, rng))


def prefetched(batch: Callable[[int], Batch], iterations: Iterable[int]) -> Iterator[Batch]:
    """Yield ``batch`` of all ``iterations`` in order, drawn ahead in other threads."""
    todo = iter(iterations)
    with ThreadPoolExecutor(max_workers=PREFETCH) as pool:
        ahead = [pool.submit(batch, iteration) for iteration in islice(todo, PREFETCH)]
        while ahead:
            drawn = ahead.pop(0).result()
            ahead += [pool.submit(batch, iteration) for iteration in islice(todo, 1)]
            yield drawn


def schedule(iteration: int, iterations: int) -> float:
    """Return the learning rate's share of its peak: 400 iterations warm-up, a linear end."""
    warm = min(1.0, (iteration + 1) / 400)
    return warm * min(1.0, 0.01 + 5 * (1 - iteration / iterations))


def sample_levels(count: int, rng: np.random.Generator) -> Tensor:
    """Draw ``count`` log-SNRs, most of them where most of a stream's bits are spent.

    They are spread: one from each of ``count`` equal parts of the distribution.
    """
    parts = (rng.permutation(count) + rng.random(count)) / count
    levels = np.interp(parts, *LEVELS)
    return torch.from_numpy(levels).float()


def rate_loss(network: UNet, batch: Batch) -> Tensor:
    """Mean squared error, each coefficient weighted by 1 + its precision."""
    return batch.fields.loss(estimate(network, batch) - batch.x)


def estimate(network: UNet, batch: Batch) -> Tensor:
    """Return the network's posterior mean of what ``batch`` observes, (N, 3, S, S)."""
    told = batch.fields
    alpha = told.alpha()
    z = told.observed(batch.x, batch.noise)
    shown = (told.maps.log() / MAP_RANGE).clamp(-1.0, 1.0)
    described = zip(told.levels.tolist(), told.ratios.tolist(), told.shares.tolist(), strict=True)
    features = torch.tensor([field_features(*field) for field in described]).to(z.device)
    seen = torch.cat([z, shown], 1).contiguous(memory_format=torch.channels_last)
    with torch.autocast(z.device.type, torch.bfloat16, enabled=has_bfloat16(z.device)):
        v = network(seen, features).float()
    x_hat: Tensor = alpha * z - (1.0 - alpha.square()).sqrt() * v
    return x_hat


@cache
def has_bfloat16(device: torch.device) -> bool:
    """Return whether ``device`` computes in bfloat16; processors without it only pretend to."""
    return device.type != "cpu" or bool(torch.cpu._is_avx512_bf16_supported())


@torch.no_grad()
def validate(network: UNet, x: Tensor, ratio: float) -> dict[float, float]:
    """Return the mean PSNR (dB, peak 255) of denoised ``x`` (N, 3, S, S) per level.

    The precision of each scale is ``ratio`` times that of the next coarser one: 1 is white noise.
    """
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    table = {}
    for level in VALIDATION_LEVELS:
        observed = fields.uniform(torch.full((len(x),), level), x.shape[-1], ratio=ratio)
        batch = Batch(x=x, noise=noise, fields=observed.to(x.device))
        error = (estimate(network, batch).clamp(-2, 2) - x).square().mean(dim=(1, 2, 3))
        table[level] = float((-10 * torch.log10(error / 16)).mean())
    return table


if __name__ == "__main__":
    main()
