"""The chain of observations that sender and receiver walk through in step.

An observation is what is known of the picture so far: the picture plus noise.  Each step of the
stream turns it into a better one.  Both ends hold a :class:`Chain`, and :meth:`Chain.after` is the
only definition of a step, so the two cannot drift apart: the sender calls it with the payload it
has just made, the receiver with as much of that payload as has arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.rotation import Rotation
from diffc_stream.channel.simulator import Address, Sample
from diffc_stream.codec.after import After, Projection, everything
from diffc_stream.codec.forecast import Forecast
from diffc_stream.codec.simulators import SIMULATORS, TRELLIS
from diffc_stream.container.grammar import Kind, Simulator, Step, delta
from diffc_stream.diffusion import octaves, symmetry
from diffc_stream.diffusion.denoiser import Denoiser
from diffc_stream.diffusion.field import Field
from diffc_stream.diffusion.observation import Observation, opened_snr
from diffc_stream.diffusion.reference import ReferencePicture
from diffc_stream.errors import CorruptStream

Floats = NDArray[np.float32]
Spans = Sequence[tuple[int, int]]
"""Parts of a payload in bytes, each (first, end), in ascending order."""


class Chain:
    """The current observation, and everything else that both ends know.

    A chain starts at snr 0 in the coarsest octave of a picture of ``height`` x ``width`` pixels.
    ``ratio`` says how the noise is shaped (see :class:`~diffc_stream.diffusion.field.Field`); 1 is
    white noise.  With a ``reference``, which needs shaped noise, both ends have a picture from the
    start.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        *,
        height: int,
        width: int,
        seed: int,
        ratio: float = 1.0,
        reference: ReferencePicture | None = None,
    ) -> None:
        self.sizes = octaves.sizes(height, width)
        coarsest = len(self.sizes) - 1
        self.observation = Observation.nothing(
            self.sizes[coarsest], coarsest, field=Field(ratio=ratio)
        )
        self.reference = reference
        self.forecast = Forecast.beginning(ratio, None if reference is None else reference.trust)
        self.steps = 0
        self.evaluations = 0.0
        """Denoiser evaluations so far; an evaluation of the whole picture counts as 1."""
        self.work = 0
        """Pixels evaluated for the steps so far."""
        self.sent_snr = 0.0
        """The sender's snr: the observation's, unless parts of steps are lost."""
        self.lost = 0.0
        """What lost parts of steps would have taken off the picture's mean squared error."""
        self.seed = seed
        self._denoiser = denoiser
        self._estimate: Floats | None = None
        self._shown: tuple[Observation, Floats] | None = None
        self._foreseen: tuple[int, bool, Floats] | None = None

    def estimate(self) -> Floats:
        """Return x_hat, the denoiser's guess of the octave observed, (3, H, W).

        While nothing is observed it is the reference's, or all zeros.
        """
        if self._estimate is None:
            self._estimate = self._evaluated(self.observation)
        return self._estimate

    def denoised(self, observation: Observation) -> Floats:
        """Return x_hat for any observation of this picture.

        Observations that the chain or its last :meth:`mean` has evaluated are not evaluated again.
        """
        if observation is self.observation:
            return self.estimate()
        if self._shown is not None and observation is self._shown[0]:
            return self._shown[1]
        return self._evaluated(observation)

    def _evaluated(self, observation: Observation) -> Floats:
        if observation.snr == 0.0:
            fine = np.zeros((octaves.CHANNELS, *observation.size), np.float32)
        else:
            fine = self._denoised(observation.eta, observation.snr, observation.field)
        return self._joined(observation, fine, self.denoised)

    def _joined(
        self, observation: Observation, fine: Floats, estimate: Callable[[Observation], Floats]
    ) -> Floats:
        """Return ``fine``, joined with what the coarser octaves and the reference tell."""
        coarser, reference = observation.coarser(), self.reference
        if coarser is None:
            return fine if reference is None else reference.corrected(fine, observation)
        if reference is None:
            return observation.joined(fine, estimate(coarser))
        return reference.joined(observation, fine, estimate(coarser))

    def _denoised(self, eta: Floats, snr: float, field: Field) -> Floats:
        self.evaluations += prod(eta.shape[1:]) / prod(self.sizes[0])
        return self._denoiser(eta, snr, field)

    def dimensions(self, kind: Kind) -> int:
        """Return the number of values that a step of ``kind`` would code."""
        if kind is Kind.REFINE:
            return self.observation.dimensions
        return octaves.detail_dimensions(self.finer)

    @property
    def cost(self) -> int:
        """Pixels to evaluate for the next step, of either kind; none while nothing is known."""
        return prod(self.observation.size) if self.observation.snr else 0

    @property
    def finer(self) -> octaves.Size:
        """The size of the next finer octave.  Only valid if there is one."""
        return self.sizes[self.observation.octave - 1]

    def prediction(self, kind: Kind) -> Floats:
        """Return what the receiver expects before a step of ``kind``.

        For a refinement that is x_hat; for an opening, the detail bands of x_hat enlarged.
        """
        x_hat = self.estimate()
        if kind is Kind.REFINE:
            return x_hat
        bands = octaves.details(octaves.upsampled(x_hat, self.finer))
        return self._expected(bands, self.observation.octave - 1)

    def _expected(self, bands: Floats, octave: int) -> Floats:
        """Return the detail to expect in ``octave`` if ``bands`` is what the stream tells of it."""
        return bands if self.reference is None else self.reference.foreseen(bands, octave)

    def error(self, kind: Kind, truth: Floats) -> Floats:
        """Return ``truth`` minus the receiver's prediction for a step of ``kind``, shape (D,).

        ``truth`` is the octave that the step is about.  The result has the units and the order of
        the sample that a step with a delta of 1 would transmit.
        """
        if kind is Kind.REFINE:
            return self.observation.scaled(truth - self.prediction(kind))
        return (octaves.details(truth) - self.prediction(kind)).reshape(-1)

    @property
    def address(self) -> Address:
        """The place from which the next step draws its shared randomness."""
        return Address(self.seed, self.steps)

    def rotation(self, kind: Kind) -> Rotation:
        """Return the random rotation in which the next step, if it is of ``kind``, is coded."""
        return Rotation(self.dimensions(kind), seed=self.seed, address=self.steps)

    def admit(self, step: Step, *, offset: int = 0) -> None:
        """Raise CorruptStream unless ``step`` can come next.  Nothing is allocated for it yet."""
        dims = self.dimensions(step.kind) if self._can(step.kind) else 0
        if not dims:
            raise CorruptStream("there is no finer octave to open", offset=offset)
        if not SIMULATORS[step.simulator].admits(dims, step.length):
            raise CorruptStream(f"a step of {step.length} bytes over {dims} values", offset=offset)

    def _can(self, kind: Kind) -> bool:
        return kind is Kind.REFINE or (self.observation.octave > 0 and self.observation.snr > 0)

    def seconded(self, reference: ReferencePicture) -> None:
        """Take another second estimate from here on."""
        self.reference = reference
        self.forecast = self.forecast.seconded(reference.trust)
        self._estimate = self._shown = self._foreseen = None

    def guess(self) -> Floats:
        """Return what the estimate tells of the whole picture, (3, H, W), evaluating no more."""
        x_hat, octave = self._told(self.estimate(), self.observation.octave, 0)
        return octaves.enlarged(x_hat, self.sizes[:octave])

    def advance(self, step: Step, payload: bytes, lost: Spans = ()) -> None:
        """Execute a step whose whole payload has arrived, but for what is ``lost`` of it."""
        after = self.after(step, payload, lost)
        self.work += self.cost
        sent = self._sent(step)
        if after.received < 1.0:
            self.lost += (1.0 - after.received) * self._gained(after, sent)
        self.sent_snr = sent
        self._shown = None
        if after.observation.origin is self.observation:
            # The estimate of an octave just opened builds on that of the octave before.
            self._shown = (self.observation, self.estimate())
        self.observation, self.forecast = after.observation, after.forecast
        self.steps += 1
        self._estimate = self._foreseen = None

    def _sent(self, step: Step, received: float = 1.0) -> float:
        """Return the sender's snr after ``received`` of a step."""
        if step.kind is Kind.REFINE:
            return self.sent_snr + received * delta(step.delta_code)
        return opened_snr(self.sent_snr, self.forecast.ratio)

    def _gained(self, after: After, sent: float) -> float:
        """Return by how much the whole step would have reduced the mean squared error."""
        octave = self.observation.octave
        refines = after.observation.octave == octave
        before = (after.forecast if refines else self.forecast).expected(self.sent_snr, octave)
        whole = after.forecast.expected(sent, after.observation.octave)
        return max(0.0, before.error - whole.error)

    def after(self, step: Step, payload: bytes, lost: Spans = ()) -> After:
        """Return the state after ``step``.  The chain itself does not change.

        ``payload`` may be any beginning of the step's payload: the result then says what is known
        at that byte.  Its parts ``lost`` may have any values: the observation goes on without them,
        from the receiver's own estimate, while the sender's has them (docs/decisions/0034).
        """
        before, dims = self.observation, self.dimensions(step.kind)
        # Evaluated before the sample is allocated: each array of a large picture takes much memory.
        self.estimate()
        sample = self._sample(step, payload, dims, lost)
        there, energy = sample.there, sample.energy
        if not there:
            return self._not_yet(step)
        received = there / dims
        rotation = self.rotation(step.kind)
        y = rotation.inverse(sample.values)
        arrived: slice | NDArray[np.bool_] | None = None
        if there < dims and before.field.isotropic and step.kind is Kind.OPEN:
            arrived = sample.values != 0 if lost else slice(there)
        del sample
        prediction = self.prediction(step.kind)
        absent: Projection | None = None
        if step.kind is Kind.REFINE:
            gained = delta(step.delta_code)
            observation = before.refined(prediction, y, gained, received)
            forecast = self.forecast.refined(snr=self.sent_snr, stated=energy / gained)
            expected = forecast.expected(self._sent(step, received), observation.octave)
        else:
            y = y.reshape(prediction.shape)
            sent = self._sent(step)
            observation = before.opened(prediction, y, self.finer, received=received, sent=sent)
            forecast = self.forecast.opened(snr=sent, stated=energy / sent)
            after = forecast.expected(sent, observation.octave)
            expected = self.forecast.expected(self.sent_snr, before.octave).mixed(after, received)
            if arrived is not None:

                def absent(bands: Floats) -> Floats:
                    rotated = rotation.forward(bands.reshape(-1))
                    rotated[arrived] = 0
                    return rotation.inverse(rotated).reshape(bands.shape)

        return After(
            observation=observation,
            forecast=forecast,
            received=received,
            absent=absent,
            expected=expected.worse(self.lost),
        )

    def _sample(self, step: Step, payload: bytes, dims: int, lost: Spans) -> Sample:
        where = self.address
        if step.simulator is Simulator.TRELLIS:
            return TRELLIS.reproduce(payload, dims, step.length, where, lost)
        # The others read their payload from the start, and not beyond what is lost.
        known = payload[: lost[0][0]] if lost else payload
        return SIMULATORS[step.simulator].reproduce(known, dims, step.length, where)

    def _not_yet(self, step: Step) -> After:
        """Return the state when a step has begun, but none of its values has arrived."""
        now = replace(self.now(), received=0.0)
        if step.kind is Kind.REFINE:
            return now
        opened, absent = self.unheard(self.observation, self.estimate())
        # The step has not said yet how much detail is missing.
        forecast = self.forecast.opened(snr=self._sent(step), stated=self.forecast.missing(0))
        return replace(now, observation=opened, forecast=forecast, absent=absent)

    def unheard(
        self, observation: Observation, x_hat: Floats
    ) -> tuple[Observation, Projection | None]:
        """Return an observation opened without having heard of its detail, and what is absent.

        Shaped noise says that nothing is known of it; white noise cannot, and the detail lies at
        its prediction, the interpolation of the estimate ``x_hat``, without noise.
        """
        size = self.sizes[observation.octave - 1]
        if not observation.field.isotropic:
            return observation.widened(size), None
        bands = octaves.details(octaves.upsampled(x_hat, size))
        return observation.opened(bands, np.zeros_like(bands), size), everything

    def mean(self, after: After, *, symmetries: int = 1, shown: int = 0) -> Floats:
        """Return the posterior mean given ``after``, of the size of octave ``shown``, (3, H, W)."""
        x_hat, octave = self.known(after, symmetries=symmetries, shown=shown)
        return octaves.enlarged(x_hat, self.sizes[shown:octave])

    def known(self, after: After, *, symmetries: int = 1, shown: int = 0) -> tuple[Floats, int]:
        """Return the posterior mean given ``after``, and its octave: ``shown`` or a coarser one.

        Finer octaves than that contain nothing new: enlarge the result.

        The octave after the one observed is predicted, if it is to be shown (:meth:`_finer_mean`).
        Estimates are averaged over the first ``symmetries``, 1 to 8, mirror images and turns.

        While an opening is under way, its detail is observed only in part, and a denoiser for white
        noise cannot be told so.  The result is then a mixture of the picture before the opening and
        the one after it, in proportion to the part that has arrived.
        """
        seen = after.observation
        if seen is not self.observation:
            self._shown = (seen, self.denoised(seen))
        x_hat, octave = self._averaged(seen, symmetries), seen.octave
        opening = octave < self.observation.octave
        if opening and after.received < 1.0 and seen.field.isotropic:
            before = self._before_opening(symmetries, shown)
            if octave < shown:
                x_hat, octave = octaves.means(x_hat), octave + 1
            share = np.float32(after.received)
            x_hat = share * x_hat + (1 - share) * before
        elif octave > shown and seen.snr and (seen.field.share == 1.0 or not opening):
            x_hat, octave = self._finer_mean(seen, x_hat, symmetries), octave - 1
        for _ in range(octave, shown):
            x_hat = octaves.means(x_hat)
        return self._told(x_hat, max(octave, shown), shown)

    def _told(self, x_hat: Floats, octave: int, shown: int) -> tuple[Floats, int]:
        """Enlarge an estimate as far as a reference tells how, and return its octave, too."""
        while self.reference is not None and octave > shown:
            octave -= 1
            x_hat = self.reference.enlarged(x_hat, octave)
        return x_hat, octave

    def _before_opening(self, symmetries: int, shown: int) -> Floats:
        """Return the picture as it was before the opening that is under way.

        It has the size of the octave being opened, or of the current one if nothing finer is
        ``shown``: the prediction of the finer octave has exactly these means.
        """
        octave = self.observation.octave
        if self._foreseen is None or self._foreseen[:2] != (symmetries, shown < octave):
            x_hat = self._averaged(self.observation, symmetries)
            if shown < octave:
                x_hat = self._finer_mean(self.observation, x_hat, symmetries)
            self._foreseen = (symmetries, shown < octave, x_hat)
        return self._foreseen[2]

    def _finer_mean(self, observation: Observation, x_hat: Floats, symmetries: int) -> Floats:
        """Return the posterior mean of the next finer octave given an observation of this one.

        Its low band is ``x_hat``.  Its detail is the denoiser's guess for the finer octave before
        any of it has arrived, which is better than interpolation by 0.02 to 0.16 dB
        (docs/decisions/0011).
        """
        opened, _ = self.unheard(observation, x_hat)
        fine = self._fine(opened, symmetries)
        bands = self._expected(octaves.details(fine), opened.octave)
        return octaves.synthesis(2 * x_hat, bands, opened.size)

    def _averaged(self, observation: Observation, symmetries: int) -> Floats:
        if symmetries == 1 or observation.snr == 0.0:
            return self.denoised(observation)
        fine = self._fine(observation, symmetries)
        return self._joined(observation, fine, lambda coarser: self._averaged(coarser, symmetries))

    def _fine(self, observation: Observation, symmetries: int) -> Floats:
        """Return the denoiser's guess from this octave alone, averaged over symmetries."""

        def estimate(eta: Floats) -> Floats:
            if observation.field.isotropic and eta is observation.eta:
                return self.denoised(observation)
            return self._denoised(eta, observation.snr, observation.field)

        if symmetries == 1:
            return estimate(observation.eta)
        return symmetry.averaged(estimate, observation.eta, symmetries)

    def now(self) -> After:
        """Return the state now, between two steps."""
        expected = self.forecast.expected(self.sent_snr, self.observation.octave)
        return After(
            observation=self.observation,
            forecast=self.forecast,
            received=1.0,
            absent=None,
            expected=expected.worse(self.lost),
        )
