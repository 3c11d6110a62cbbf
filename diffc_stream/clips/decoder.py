"""The receiver's half for clips: it turns a stream, or the beginning of one, into pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from diffc_stream.clips.group import MOST_PIXELS, Group
from diffc_stream.codec import allowance, beginning
from diffc_stream.codec.after import After
from diffc_stream.container import (
    About,
    Check,
    Header,
    Metadata,
    Motion,
    Payload,
    Second,
    Step,
    StreamReader,
    Turn,
)
from diffc_stream.container.metadata import NOTHING
from diffc_stream.container.reader import Event
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import (
    NotAClip,
    NothingDecodable,
)


class ClipDecoder:
    """Decode a stream of several pictures that is fed in pieces of any size.

    ``models`` are the models at hand, as a sequence or a mapping from fingerprints.  With
    ``damaged``, failed checks are counted in :attr:`damage` instead of raising an error.
    """

    def __init__(
        self,
        models: Mapping[str, Model] | Sequence[Model],
        *,
        damaged: bool = False,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        self._models = beginning.by_fingerprint(models)
        self._most_pixels = most_pixels
        self._reader = StreamReader(damaged=damaged)
        self._group: Group | None = None
        self._picture = 0
        self._step: Step | None = None
        self._payload = bytearray()
        self.metadata = NOTHING
        """How the clip was taken, as far as the stream has told so far."""
        self.damage = 0
        """Checks that have failed so far.  Without ``damaged``, the first failed check raises."""

    @property
    def header(self) -> Header | None:
        """The stream's header, once it has arrived."""
        return self._reader.header

    @property
    def bytes_received(self) -> int:
        """Bytes fed so far."""
        return self._reader.received

    @property
    def group(self) -> Group:
        """What is known of all pictures.  Raises NothingDecodable before the header."""
        if self._group is None:
            raise NothingDecodable("nothing can be decoded yet: the stream has just begun")
        return self._group

    @property
    def steps(self) -> int:
        """Steps executed so far, of all pictures."""
        return sum(chain.steps for chain in self._group.chains) if self._group else 0

    @property
    def ready(self) -> bool:
        """Whether enough has arrived for a picture."""
        group = self._group
        return group is not None and (group.nearest(0) is not None or self._part(self._picture))

    @property
    def milliseconds(self) -> int:
        """How long each picture is shown.  Raises NothingDecodable before the header."""
        header = self._reader.header
        if header is None or header.clip is None:
            raise NothingDecodable("nothing can be decoded yet: the stream has just begun")
        return header.clip.milliseconds

    def __len__(self) -> int:
        """Return how many pictures the clip has: 0 before the header has arrived."""
        return len(self._group.chains) if self._group else 0

    def feed(self, data: bytes) -> None:
        """Take more bytes of the stream.

        Raises StreamError if they cannot belong to a stream, NotAClip for the stream of a single
        picture, UnknownModel if the stream names a model that is not at hand, UnreadableModel if
        its file is damaged, PictureTooLarge beyond ``most_pixels`` in all.
        """
        self._take(self._reader.feed(data))

    def render(self, number: int) -> NDArray[np.uint8]:
        """Return a picture as far as it is known, 8-bit sRGB, (H, W, 3).

        If nothing is known of it, it is the nearest of which something is.  Raises NothingDecodable
        before the first step, IndexError.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"picture {number} of {len(self)}")
        group = self.group
        if not self.ready:
            raise NothingDecodable("nothing can be decoded yet: no record has arrived")
        begun = group.nearest(number, self._picture if self._part(self._picture) else None)
        assert begun is not None
        chain = group.chains[begun]
        return octaves.picture(chain.mean(self._newest(begun)))

    def predicted_psnr(self) -> float:
        """Return the mean of the expected PSNR of all pictures of which something is known, in dB.

        Raises NothingDecodable.
        """
        group = self.group
        known = [
            self._newest(number).expected.psnr
            for number in range(len(self))
            if group.begun(number) or self._part(number)
        ]
        if not known:
            raise NothingDecodable("nothing can be decoded yet: no record has arrived")
        return sum(known) / len(known)

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Header():
                    self._begin(event)
                case Turn():
                    self._picture = event.picture
                case Motion():
                    self.group.moves(self._picture, event)
                case Second():
                    group = self.group
                    allowance.check(group.work, self._reader.offset)
                    group.second(self._picture, event)
                case Step():
                    group = self.group
                    group.chains[self._picture].admit(event, offset=self._reader.offset)
                    allowance.check(group.work, self._reader.offset)
                    self._step = event
                case Payload():
                    self._payload += event.data
                    self._finish_step()
                case Check():
                    self.damage += not event.good
                case About():
                    self.metadata = Metadata.parse(event.facts)

    def _begin(self, header: Header) -> None:
        if header.clip is None:
            raise NotAClip("the stream has a single picture")
        model = beginning.named(self._models, header)
        self._group = Group(header, model, most_pixels=self._most_pixels)

    def _finish_step(self) -> None:
        if self._step is not None and len(self._payload) == self._step.length:
            self.group.chains[self._picture].advance(self._step, bytes(self._payload))
            self._step = None
            self._payload.clear()

    def _part(self, number: int) -> bool:
        """Return whether a part of a step of that picture has arrived."""
        return self._step is not None and number == self._picture and len(self._payload) > 0

    def _newest(self, number: int) -> After:
        chain = self.group.chains[number]
        if self._step is None or not self._part(number):
            return chain.now()
        return chain.after(self._step, bytes(self._payload))
