"""The receiver's half: it makes pictures of a stream, or of as much of it as has arrived."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec import allowance, beginning, continuation
from diffc_stream.codec.after import After
from diffc_stream.codec.chain import Chain
from diffc_stream.codec.held import found
from diffc_stream.container import (
    About,
    Check,
    Header,
    Lost,
    Metadata,
    Payload,
    Reference,
    Step,
    StreamReader,
)
from diffc_stream.container.metadata import NOTHING
from diffc_stream.container.reader import Event
from diffc_stream.diffusion import octaves, symmetry
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import (
    MissingReference,
    NotAClip,
    NothingDecodable,
    PictureTooLarge,
)
from diffc_stream.metrics import bits_per_pixel

Floats = NDArray[np.float32]

References = Callable[[Reference], NDArray[np.uint8]]
"""A function that returns the picture that a stream starts from, 8-bit sRGB, (H, W, 3), or raises
MissingReference."""
Named = Literal["mmse", "flow", "ancestral"]
METHODS: tuple[str, ...] = get_args(Named)
Method = Named | float
"""How to render: by name, or by a number from 0 (mmse) to 1 (flow), the realism dial."""
MOST_PIXELS = 100_000_000
"""Larger pictures are refused: a header of 16 bytes can name one of four billion pixels."""


def no_references(reference: Reference) -> NDArray[np.uint8]:
    """Raise MissingReference: nothing is here that a stream could start from."""
    raise MissingReference(reference.told)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rendering:
    """A picture made of the bytes that have arrived."""

    image: NDArray[np.uint8]
    """8-bit sRGB, (H, W, 3)."""
    method: Method
    bytes: int
    bpp: float
    predicted_psnr: float
    """Expected PSNR of the mmse picture, in dB, computed from the stream alone."""
    predicted_psnr_range: tuple[float, float]
    """Range of that PSNR, in dB: it holds for nine of ten photographs (docs/decisions/0033)."""
    metadata: Metadata = NOTHING
    """How the picture was taken, as far as the stream has told so far."""

    @property
    def description(self) -> dict[str, str]:
        """What a file of this picture should say about itself: keys and values of PNG text."""
        how = self.method if isinstance(self.method, str) else f"realism {self.method:g}"
        text = {"diffc-bytes": str(self.bytes), "diffc-render": how}
        if self.method != "mmse":
            text["Comment"] = (
                "Detail in this picture is synthesised: it looks plausible but was not "
                f"transmitted. Decoded from {self.bytes} bytes, rendered: {how}."
            )
        return text


class Decoder:
    """Decode a stream that is fed in pieces of any size.

    ``models`` are the models at hand, as a sequence or a mapping from fingerprints; the stream
    names the one it needs, and only that one is looked up.  :meth:`feed` executes the steps that
    are complete and evaluates the denoiser once for each.  :meth:`render` may evaluate it once
    more, or several times for ``flow`` and ``ancestral``.  With ``damaged``, failed checks are
    counted in :attr:`damage` instead of raising an error.  ``references`` finds the pictures that
    streams start from; without it those streams are refused.  Not safe to use from two threads at
    once.
    """

    def __init__(
        self,
        models: Mapping[str, Model] | Sequence[Model],
        *,
        damaged: bool = False,
        most_pixels: int = MOST_PIXELS,
        references: References = no_references,
    ) -> None:
        self._models = beginning.by_fingerprint(models)
        self._most_pixels = most_pixels
        self._references = references
        self._reader = StreamReader(damaged=damaged)
        self._chain: Chain | None = None
        self._step: Step | None = None
        self._payload = bytearray()
        self._lost: list[tuple[int, int]] = []
        self.bytes_lost = 0
        """Bytes skipped so far."""
        self.metadata = NOTHING
        """How the picture was taken, as far as the stream has told so far."""
        self.damage = 0
        """Checks that have failed so far.  Without ``damaged``, the first failed check raises."""

    def feed(self, data: bytes) -> None:
        """Take more bytes of the stream.

        Raises StreamError if they cannot belong to a stream, UnknownModel if the stream names a
        model that is not at hand, UnreadableModel if its file is damaged, PictureTooLarge beyond
        ``most_pixels``, MissingReference if it starts from a picture that is not at hand.
        """
        self._take(self._reader.feed(data))

    def skip(self, size: int) -> None:
        """Go on without the next ``size`` bytes of the stream, which are lost.

        They may be any but the header's and the descriptions of steps.  The picture then lacks what
        they would have brought, and so does :attr:`Rendering.predicted_psnr`; what follows them
        brings nearly as much as it would have with them (docs/decisions/0034).  Raises as
        :meth:`feed` does, CorruptStream if the bytes cannot be done without.
        """
        self.bytes_lost += size
        self._take(self._reader.skip(size))

    def branch(self) -> Decoder:
        """Return a decoder in the same state, which goes its own way from here on."""
        other = copy.copy(self)
        other._reader = self._reader.branch()
        other._chain = copy.copy(self._chain)
        other._payload, other._lost = self._payload[:], self._lost[:]
        return other

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Header():
                    self._begin(event)
                case Step():
                    self._started.admit(event, offset=self._reader.offset)
                    allowance.check(self._started.work, self._reader.offset)
                    self._step = event
                case Payload():
                    self._payload += event.data
                    self._finish_step()
                case Lost():
                    first = len(self._payload)
                    self._lost.append((first, first + event.size))
                    self._payload += bytes(event.size)
                    self._finish_step()
                case Check():
                    self.damage += not event.good
                case About():
                    self.metadata = Metadata.parse(event.facts)

    @property
    def header(self) -> Header | None:
        """The stream's header, once it has arrived."""
        return self._reader.header

    @property
    def bytes_received(self) -> int:
        """Bytes fed so far; skipped ones do not count."""
        return self._reader.received - self.bytes_lost

    @property
    def ready(self) -> bool:
        """Whether enough has arrived for a picture."""
        chain = self._chain
        if chain is None:
            return False
        return chain.reference is not None or chain.steps > 0 or len(self._payload) > 0

    @property
    def known(self) -> float:
        """How much of the sender's precision is there, 0 to 1: less than 1 if bytes are lost."""
        chain = self._chain
        return chain.observation.snr / chain.sent_snr if chain and chain.sent_snr else 1.0

    @property
    def predicted_psnr(self) -> float:
        """The expected PSNR of the mmse picture in dB.  Raises NothingDecodable."""
        return self._newest().expected.psnr

    @property
    def steps(self) -> int:
        """Steps executed so far."""
        return self._chain.steps if self._chain else 0

    @property
    def evaluations(self) -> float:
        """Denoiser evaluations so far, including renderings; one of the whole picture counts 1."""
        return self._chain.evaluations if self._chain else 0.0

    def render(
        self, method: Method = "mmse", *, symmetries: int = 1, max_side: int | None = None
    ) -> Rendering:
        """Return the picture of everything that has arrived, including part of a step.

        ``method`` is "mmse" (smallest error, but blurred where little is known), "flow" or
        "ancestral" (sharp; plausible detail is invented), or a number r from 0 to 1 for the mixture
        (1 - r) mmse + r flow.  0 is the same as "mmse", 1 the same as "flow".  On a Gaussian
        source, where the flow is the optimal transport of the mean, nothing between the two is
        better than this mixture (Freirich et al., arXiv 2107.02555).

        ``max_side`` halves the picture until its longer side fits.  For the posterior mean (mmse),
        finer octaves are not even computed.

        ``symmetries``, 1 to 8, is the number of mirror images and quarter turns of the observation
        over which mmse is averaged.  Each costs an evaluation; two gain 0.04 dB, four 0.07 dB
        (docs/decisions/0011).

        Raises NothingDecodable before the first record, ValueError for numbers out of range.
        """
        if not 1 <= symmetries <= symmetry.COUNT:
            raise ValueError(f"{symmetries} symmetries: there are 1 to {symmetry.COUNT}")
        method = _plain(method)
        chain, newest = self._started, self._newest()
        header = self._reader.header
        assert header is not None
        if method == "mmse":
            shown = _shown(chain.sizes, max_side)
            x, octave = chain.known(newest, symmetries=symmetries, shown=shown)
            larger = chain.sizes[shown:octave]
        else:
            x, larger = self._drawn(newest, method, symmetries), []
        while not larger and not _fits(x.shape[1:], max_side):
            x = octaves.means(x)
        return Rendering(
            image=octaves.enlarged_picture(x, larger),
            method=method,
            bytes=self.bytes_received,
            bpp=bits_per_pixel(self.bytes_received, header.width, header.height),
            predicted_psnr=newest.expected.psnr,
            predicted_psnr_range=newest.expected.psnr_range,
            metadata=self.metadata,
        )

    def _drawn(self, newest: After, method: Method, symmetries: int) -> Floats:
        """Return a picture that looks real, or a mixture of that and the posterior mean."""
        chain = self._started
        if isinstance(method, str):
            return continuation.continued(chain, newest, ancestral=method == "ancestral")
        mean = chain.mean(newest, symmetries=symmetries)
        # Either may be an array that the chain keeps, and for a clear picture both are the same.
        towards: Floats = continuation.continued(chain, newest, ancestral=False) - mean
        towards *= np.float32(method)
        return np.add(mean, towards, out=towards)

    def observation(self) -> NDArray[np.uint8]:
        """Return the noisy observation itself as a picture, (H, W, 3), with its pixels enlarged.

        It shows z = alpha x + sigma n for the octave observed.
        """
        chain, observation = self._started, self._newest().observation
        small = octaves.picture(observation.z())
        factor = 2**observation.octave
        height, width = chain.sizes[0]
        large = small.repeat(factor, axis=0).repeat(factor, axis=1)
        return np.ascontiguousarray(large[:height, :width])

    @property
    def _started(self) -> Chain:
        if self._chain is None:
            raise NothingDecodable("nothing can be decoded yet: the stream has just begun")
        return self._chain

    def _begin(self, header: Header) -> None:
        if header.clip is not None:
            pictures = header.clip.pictures
            raise NotAClip(f"the stream is a clip of {pictures} pictures, not a single one")
        if header.width * header.height > self._most_pixels:
            raise PictureTooLarge(
                f"the stream holds a picture of {header.width}x{header.height}, "
                f"more than the limit of {self._most_pixels} pixels"
            )
        model = beginning.named(self._models, header)
        reference = None
        if (said := header.reference) is not None:
            picture = self._references(said)
            reference = found(said, picture, header.height, header.width)
        self._chain = beginning.chain(header, model, reference)

    def _finish_step(self) -> None:
        if self._step is not None and len(self._payload) == self._step.length:
            self._started.advance(self._step, bytes(self._payload), self._lost)
            self._step = None
            self._payload.clear()
            self._lost.clear()

    def _newest(self) -> After:
        """Return the newest state, including the received part of the step under way."""
        chain = self._started
        if not self.ready:
            raise NothingDecodable("nothing can be decoded yet: no record has arrived")
        if self._step is None or not self._payload:
            return chain.now()
        return chain.after(self._step, bytes(self._payload), self._lost)


def _shown(sizes: Sequence[octaves.Size], max_side: int | None) -> int:
    """Return the finest octave whose longer side fits, or the coarsest."""
    fitting = (octave for octave, size in enumerate(sizes) if _fits(size, max_side))
    return next(fitting, len(sizes) - 1)


def _fits(size: Sequence[int], max_side: int | None) -> bool:
    return max_side is None or max(size) <= max(1, max_side)


def _plain(method: Method) -> Method:
    """Return ``method`` with the ends of the dial, 0 and 1, replaced by their names."""
    if isinstance(method, str):
        return method
    if not 0.0 <= method <= 1.0:
        raise ValueError(f"realism is a number from 0 to 1, not {method}")
    names: dict[float, Method] = {0.0: "mmse", 1.0: "flow"}
    return names.get(method, float(method))
