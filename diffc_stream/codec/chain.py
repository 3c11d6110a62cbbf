"""The chain of observations that sender and receiver walk together.

Both ends hold a :class:`Chain`, and :meth:`Chain.after` is the one definition of a step: the sender
executes it with the payload it has just made, the receiver with the payload, or the part of it,
that arrived.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel import trellis
from diffc_stream.channel.rotation import Rotation
from diffc_stream.codec.forecast import Forecast, decibel
from diffc_stream.container.grammar import Kind, Step, delta, segments
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.denoiser import Denoiser
from diffc_stream.diffusion.observation import Observation
from diffc_stream.errors import CorruptStream

Floats = NDArray[np.float32]


class Chain:
    """An observation under refinement, and what both ends know besides.

    A chain starts at snr 0 in the coarsest octave of a picture of ``height`` x ``width``.
    """

    def __init__(self, denoiser: Denoiser, *, height: int, width: int, seed: int) -> None:
        self.sizes = octaves.sizes(height, width)
        coarsest = len(self.sizes) - 1
        self.observation = Observation.nothing(self.sizes[coarsest], coarsest)
        self.forecast = Forecast()
        self.steps = 0
        self.evaluations = 0.0
        """Denoiser evaluations so far, in units of one at full resolution."""
        self.seed = seed
        self._denoiser = denoiser
        self._estimate: Floats | None = None

    def estimate(self) -> Floats:
        """Return x_hat of the octave observed, (3, H, W); zeros while nothing is known."""
        if self._estimate is None:
            self._estimate = self.denoised(self.observation)
        return self._estimate

    def denoised(self, observation: Observation) -> Floats:
        """Return x_hat of any observation of this picture, counting the evaluation."""
        if observation.snr == 0.0:
            return np.zeros_like(observation.eta)
        height, width = observation.size
        self.evaluations += height * width / (self.sizes[0][0] * self.sizes[0][1])
        return self._denoiser(observation.eta, observation.snr)

    def dimensions(self, kind: Kind) -> int:
        """Return over how many values a step of ``kind`` would run."""
        if kind is Kind.REFINE:
            return octaves.dimensions(self.observation.size)
        return octaves.detail_dimensions(self.finer)

    @property
    def finer(self) -> octaves.Size:
        """The size of the next finer octave; there must be one."""
        return self.sizes[self.observation.octave - 1]

    def prediction(self, kind: Kind) -> Floats:
        """Return what the receiver expects: x_hat, or the detail bands of x_hat enlarged."""
        x_hat = self.estimate()
        if kind is Kind.REFINE:
            return x_hat
        return octaves.details(octaves.upsampled(x_hat, self.finer))

    def rotation(self, kind: Kind) -> Rotation:
        """Return the rotation under which the next step, if of ``kind``, is coded."""
        return Rotation(self.dimensions(kind), seed=self.seed, address=self.steps)

    def admit(self, step: Step, *, offset: int = 0) -> None:
        """Raise CorruptStream unless ``step`` can come next; nothing is allocated for it before."""
        dims = self.dimensions(step.kind) if self._can(step.kind) else 0
        if not dims:
            raise CorruptStream("there is no finer octave to open", offset=offset)
        if not trellis.fewest_bits(dims) <= 8 * step.length <= max(8, dims + 7):
            raise CorruptStream(f"a step of {step.length} bytes over {dims} values", offset=offset)

    def _can(self, kind: Kind) -> bool:
        return kind is Kind.REFINE or (self.observation.octave > 0 and self.observation.snr > 0)

    def advance(self, step: Step, payload: bytes) -> None:
        """Execute a step whose whole payload has arrived."""
        after = self.after(step, payload)
        self.observation, self.forecast = after.observation, after.forecast
        self.steps += 1
        self._estimate = None

    def after(self, step: Step, payload: bytes) -> After:
        """Return what holds after ``step`` with ``payload``, or the first part of it.

        The chain itself does not move.
        """
        before, dims, parts = self.observation, self.dimensions(step.kind), segments(step.length)
        received = trellis.received_dims(len(payload), dims, parts) / dims
        cosine = trellis.cosine_squared(8 * step.length, dims, len(parts))
        # A codeword at cosine r to the error holds a share r^2 of signal; scaled by c with
        # c^2 = 1 / (1 - r^2), what is not signal has unit variance.
        scale = np.float32((1.0 - cosine) ** -0.5)
        prediction = self.prediction(step.kind)
        y = self.rotation(step.kind).inverse(trellis.reproduce(payload, dims, parts) * scale)
        y = y.reshape(prediction.shape)
        # The energy of the error that the step was made for, read off its length.
        energy = cosine / (1.0 - cosine)
        if step.kind is Kind.REFINE:
            gained = delta(step.delta_code)
            observation = before.refined(prediction, y, gained, received)
            forecast = self.forecast.refined(snr=before.snr, stated=energy / gained)
            error = forecast.total(observation.snr, observation.octave)
        else:
            observation = before.opened(prediction, y, self.finer)
            forecast = self.forecast.opened(snr=observation.snr, stated=energy / observation.snr)
            error = (1.0 - received) * self.forecast.total(before.snr, before.octave)
            error += received * forecast.total(observation.snr, observation.octave)
        return After(
            observation=observation, forecast=forecast, received=received, psnr=decibel(error)
        )

    def mean(self, after: After) -> Floats:
        """Return the posterior mean given ``after``, enlarged to full resolution, (3, H, W).

        While an opening is under way its detail is only partly observed, which the denoiser
        cannot be told; the picture passes from the one before to the one after in proportion.
        """
        seen = after.observation
        if seen is self.observation:
            x_hat = self.estimate()
        else:
            x_hat = self.denoised(seen)
            if after.received < 1.0 and seen.octave < self.observation.octave:
                share = np.float32(after.received)
                x_hat = share * x_hat + (1 - share) * octaves.upsampled(self.estimate(), seen.size)
        return octaves.enlarged(x_hat, self.sizes[: seen.octave])

    def now(self) -> After:
        """Return what holds now, between two steps."""
        error = self.forecast.total(self.observation.snr, self.observation.octave)
        return After(
            observation=self.observation, forecast=self.forecast, received=1.0, psnr=decibel(error)
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class After:
    """What holds after a step, or after the part of it that has arrived."""

    observation: Observation
    """A refinement gains snr in proportion to ``received``; an opening cannot, so detail that
    did not arrive stays at its prediction, without noise."""
    forecast: Forecast
    received: float
    """The fraction of the step's values that arrived, 0 to 1."""
    psnr: float
    """PSNR in dB to expect of the posterior mean."""
