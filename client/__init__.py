"""The receiver of diffc-stream, as a library for programs; its command is ``diffc-client``.

In a program with an event loop::

    async with diffc_client.connect("ws://localhost:8765") as sender:
        async for refinement in sender.open("coffee.jpg", bpp=0.4):
            window.show(refinement.image)

In a script::

    for refinement in diffc_client.stream("ws://localhost:8765/coffee.jpg", bytes=8000):
        print(refinement.bytes, refinement.predicted_psnr)

In a program whose event loop is not asyncio's, that of a window for instance::

    def show(refinement: diffc_client.Refinement) -> None:
        window.show(refinement.image)                  # on a thread of its own

    watch = diffc_client.watch("ws://localhost:8765/coffee.jpg", show, psnr=30)

From a broadcast in packets, of which any may be lost::

    for refinement in diffc_client.receive_packets("udp://0.0.0.0:7000"):
        print(refinement.bytes, refinement.predicted_psnr)

Every refinement carries the whole picture as it is known so far: ``image``, uint8 (H, W, 3), with
``bytes``, ``bpp``, ``predicted_psnr`` and ``complete``.  Leave the loop when it is good enough.
The errors of :mod:`diffc_stream.errors` that a receiver meets are exported here too.

What is exported here is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffc_stream.exports import lazily

if TYPE_CHECKING:
    from .api.blocking import stream as stream
    from .api.connection import Sender as Sender
    from .api.connection import connect as connect
    from .api.delivery import Delivery as Delivery
    from .api.packets import PacketReceiver as PacketReceiver
    from .api.packets import receive_packets as receive_packets
    from .api.packets import send_packets as send_packets
    from .api.watch import Watch as Watch
    from .api.watch import Watcher as Watcher
    from .api.watch import watch as watch
    from .decoding.decoders import Decoders as Decoders
    from .decoding.decoders import Method as Method
    from .decoding.decoders import ModelDecoders as ModelDecoders
    from .decoding.decoders import StreamDecoder as StreamDecoder
    from .decoding.refiner import Refinement as Refinement
    from .errors import AddressError as AddressError
    from .errors import CorruptStream as CorruptStream
    from .errors import DiffcError as DiffcError
    from .errors import LinkLost as LinkLost
    from .errors import LocalProtocolError as LocalProtocolError
    from .errors import MissingReference as MissingReference
    from .errors import ModelError as ModelError
    from .errors import NotAStream as NotAStream
    from .errors import NothingDecodable as NothingDecodable
    from .errors import PeerError as PeerError
    from .errors import PictureTooLarge as PictureTooLarge
    from .errors import RemoteProtocolError as RemoteProtocolError
    from .errors import SafetyError as SafetyError
    from .errors import SenderLeaving as SenderLeaving
    from .errors import SessionError as SessionError
    from .errors import StreamError as StreamError
    from .errors import TargetError as TargetError
    from .errors import Unauthorized as Unauthorized
    from .errors import UnknownImage as UnknownImage
    from .errors import UnknownModel as UnknownModel
    from .errors import UnreadableModel as UnreadableModel
    from .errors import UnsupportedStream as UnsupportedStream
    from .mirror.listener import Listener as Listener
    from .mirror.sync import Mirror as Mirror
    from .mirror.sync import Mirrored as Mirrored
    from .remote.address import Address as Address
    from .remote.credentials import Access as Access
    from .storage.cache import Store as Store
    from .storage.partial_stream import FileStream as FileStream
    from .storage.partial_stream import Kept as Kept
    from .storage.partial_stream import MemoryStream as MemoryStream
    from .storage.partial_stream import outdated as outdated

_HOMES = {
    "Access": "remote.credentials",
    "Address": "remote.address",
    "AddressError": "errors",
    "CorruptStream": "errors",
    "Decoders": "decoding.decoders",
    "Delivery": "api.delivery",
    "DiffcError": "errors",
    "FileStream": "storage.partial_stream",
    "Kept": "storage.partial_stream",
    "LinkLost": "errors",
    "Listener": "mirror.listener",
    "LocalProtocolError": "errors",
    "MemoryStream": "storage.partial_stream",
    "Method": "decoding.decoders",
    "Mirror": "mirror.sync",
    "Mirrored": "mirror.sync",
    "MissingReference": "errors",
    "ModelDecoders": "decoding.decoders",
    "ModelError": "errors",
    "NotAStream": "errors",
    "NothingDecodable": "errors",
    "PacketReceiver": "api.packets",
    "PeerError": "errors",
    "PictureTooLarge": "errors",
    "Refinement": "decoding.refiner",
    "RemoteProtocolError": "errors",
    "SafetyError": "errors",
    "Sender": "api.connection",
    "SenderLeaving": "errors",
    "SessionError": "errors",
    "Store": "storage.cache",
    "StreamDecoder": "decoding.decoders",
    "StreamError": "errors",
    "TargetError": "errors",
    "Unauthorized": "errors",
    "UnknownImage": "errors",
    "UnknownModel": "errors",
    "UnreadableModel": "errors",
    "UnsupportedStream": "errors",
    "Watch": "api.watch",
    "Watcher": "api.watch",
    "connect": "api.connection",
    "outdated": "storage.partial_stream",
    "receive_packets": "api.packets",
    "send_packets": "api.packets",
    "stream": "api.blocking",
    "watch": "api.watch",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # or any name at all would pass a type checker
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
