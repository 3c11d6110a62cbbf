"""Pictures of a stream whose parts arrive in any order, from as much of it as there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from diffc_stream.codec.decoder import MOST_PIXELS, Decoder, References, no_references
from diffc_stream.diffusion.model import Model

LEAST_KNOWN = 0.25
"""With less of the sender's precision, a receiver's estimate is another one than the sender's, and
what the sender says of the error of its own does not help (docs/decisions/0034)."""
Part = bytes | int
"""Bytes of a stream, or how many are missing."""


class Patchwork:
    """Decode a stream again and again, from more and more of its parts.

    Parts come as :meth:`diffc_stream.packets.Gathered.parts` gives them.  What comes before the
    first gap is decoded once.  The rest is gone on with while gaps stay as they are, and decoded
    anew, from the first gap on, when one is filled.
    """

    def __init__(
        self,
        models: Mapping[str, Model] | Sequence[Model],
        *,
        most_pixels: int = MOST_PIXELS,
        references: References = no_references,
    ) -> None:
        """Decode as a :class:`Decoder` with these arguments does."""
        self._sure = Decoder(models, most_pixels=most_pixels, references=references)
        self._newest = self._sure
        self._parts: list[Part] = []
        """What the newest decoder has been fed."""

    def decoder(self, parts: Iterable[Part]) -> Decoder:
        """Return a decoder of ``parts``, which is to be rendered and not to be fed.

        Where so much is missing that what follows tells nothing, or less than nothing, it is one
        of what comes before the first gap.  Earlier parts must not have changed, but for gaps that
        are filled.  Raises as :meth:`Decoder.feed` and :meth:`Decoder.skip` do.
        """
        now = list(parts)
        if now and isinstance(now[0], bytes):
            self._sure.feed(now[0][self._sure.bytes_received :])
        more = None if self._newest is self._sure else _beyond(now, self._parts)
        if len(now) <= 1:
            self._newest, more = self._sure, []
        elif more is None:
            self._newest, more = self._sure.branch(), now[1:]
        for part in more:
            if isinstance(part, bytes):
                self._newest.feed(part)
            else:
                self._newest.skip(part)
        self._parts = now
        return self._newest if self._gains() else self._sure

    def _gains(self) -> bool:
        """Whether the newest decoder has a better picture than the one before the first gap."""
        if self._newest is self._sure or not self._sure.ready:
            return True
        if self._newest.known < LEAST_KNOWN:
            return False
        return self._newest.predicted_psnr >= self._sure.predicted_psnr


def _beyond(parts: list[Part], before: list[Part]) -> list[Part] | None:
    """Return what of ``parts`` comes after ``before``; None if they do not begin with it."""
    if len(parts) < len(before):
        return None
    if not before:
        return parts
    if parts[: len(before) - 1] != before[:-1]:
        return None
    last, same = before[-1], parts[len(before) - 1]
    if isinstance(last, int) or isinstance(same, int):
        return parts[len(before) :] if last == same else None
    return [same[len(last) :], *parts[len(before) :]] if same.startswith(last) else None
