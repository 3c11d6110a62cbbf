"""Broadcasts in packets: pictures that sharpen as packets come in, whichever are lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from diffc_stream.emission import send
from diffc_stream.errors import NothingDecodable
from diffc_stream.flags import MAX_PIXELS
from diffc_stream.packets import USUAL_SIZE, Broadcast, Outcome, Plan
from diffc_stream.packets.airtime import Airtime
from diffc_stream.reception import Progress, Reception, sharpening

from ..decoding.decoders import Method
from ..decoding.refiner import Refinement

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model


class PacketReceiver:
    """Take packets from whatever radio there is, and show the picture that they give.

    >>> receiver = PacketReceiver()
    >>> for packet in modem:
    ...     if receiver.take(packet):
    ...         window.show(receiver.refinement().image)

    ``models`` are those at hand by fingerprint, by default all that are installed; ``wanted`` is
    the only stream to show, by the number that its packets name.  Packets of several antennas
    may be given to one receiver.  Not safe to use from two threads at once.
    """

    def __init__(
        self,
        models: Mapping[str, Model] | None = None,
        *,
        wanted: int | None = None,
        render: Method = "mmse",
        most_pixels: int = MAX_PIXELS,
    ) -> None:
        if models is None:
            from diffc_stream.diffusion.collection import Collection

            models = Collection.at_hand()
        self._reception = Reception(models, wanted=wanted, most_pixels=most_pixels)
        self._render: Method = render

    def take(self, packet: bytes) -> bool:
        """Take a packet, and return whether it told anything new.  Never raises."""
        return self._reception.take(packet) is Outcome.NEW

    @property
    def progress(self) -> Progress:
        """How many packets there were, and how many pieces are missing."""
        return self._reception.progress

    @property
    def stream(self) -> bytes:
        """The stream's bytes up to the first that is missing; a ``.dfc`` file if complete."""
        return self._reception.stream

    def refinement(self) -> Refinement | None:
        """Return the picture so far, None if there is none yet.

        Raises StreamError if the packets hold no stream, UnknownModel, PictureTooLarge.
        """
        try:
            picture = self._reception.render(self._render)
        except NothingDecodable:
            return None
        return Refinement(
            image=picture.image,
            bytes=picture.bytes,
            bpp=picture.bpp,
            predicted_psnr=picture.predicted_psnr,
            predicted_psnr_range=picture.predicted_psnr_range,
            complete=self.progress.complete,
            description=picture.description,
            metadata=picture.metadata,
        )


def send_packets(
    stream: bytes,
    where: str,
    *,
    size: int = USUAL_SIZE,
    budget: int | None = None,
    loss: float | None = None,
    carousel: bool = False,
    station: str = "",
    airtime: Airtime | None = None,
    seconds: float | None = None,
) -> int:
    """Send a stream in packets; return how many.

    ``where`` is ``udp://HOST:PORT``, a folder or ``-``, ``size`` the bytes of a packet, 64 to
    1,400, and ``budget`` those of a round.  ``loss`` is the share that is expected to be lost, 0 to
    0.9, if anybody knows.  A ``carousel`` goes on for ``seconds``, or for ever.  Raises
    NotAStream, NotAClip for a clip, TargetError for sizes that cannot be, AddressError, OSError.
    """
    from diffc_stream.transport.carriers import opened_to

    plan = Plan.for_loss(loss)
    broadcast = Broadcast(
        stream, size=size, budget=budget, plan=plan, carousel=carousel, station=station
    )
    with opened_to(where) as sender:
        return send(broadcast, sender.send, airtime or Airtime(), seconds=seconds)


def receive_packets(
    where: str, receiver: PacketReceiver | None = None, *, seconds: float | None = None
) -> Iterator[Refinement]:
    """Receive a broadcast; iterate over its pictures, each with all that has arrived until then.

    ``where`` is ``udp://HOST:PORT`` to receive at, a folder of packets, or ``-`` for standard
    input.  Ends when the stream is complete, when the input ends, or after ``seconds``.  Raises
    AddressError, and what :meth:`PacketReceiver.refinement` does.
    """
    from diffc_stream.transport.carriers import arriving

    receiver = PacketReceiver() if receiver is None else receiver
    with arriving(where, seconds=seconds) as packets:
        for _ in sharpening(receiver._reception, packets):
            if (picture := receiver.refinement()) is not None:
                yield picture
