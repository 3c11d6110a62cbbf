"""The receiver of diffc-stream: for viewers, a library; for everybody else, ``diffc-client``.

In a program with an event loop::

    async with diffc_client.connect("ws://localhost:8765") as sender:
        async for refinement in sender.open("coffee.jpg", bpp=0.4):
            window.show(refinement.image)

In a script::

    for refinement in diffc_client.stream("ws://localhost:8765/coffee.jpg", bytes=8000):
        print(refinement.bytes, refinement.predicted_psnr)

In a program with a loop that is not ours to run, a window's for instance::

    def show(refinement: diffc_client.Refinement) -> None:
        window.show(refinement.image)                  # on a thread of its own

    watch = diffc_client.watch("ws://localhost:8765/coffee.jpg", show, psnr=30)

Every refinement carries the whole picture as it is known so far: ``image``, uint8 (H, W, 3), with
``bytes``, ``bpp``, ``predicted_psnr`` and ``complete``.  Leave the loop when it is good enough.
Errors are named here too; they are those of :mod:`diffc_stream.errors`.

What is exported here is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffc_stream.exports import lazily

if TYPE_CHECKING:
    from .access import Access as Access
    from .address import Address as Address
    from .blocking import stream as stream
    from .decoding import Decoders as Decoders
    from .decoding import Method as Method
    from .decoding import ModelDecoders as ModelDecoders
    from .decoding import StreamDecoder as StreamDecoder
    from .delivery import Delivery as Delivery
    from .errors import AddressError as AddressError
    from .errors import CorruptStream as CorruptStream
    from .errors import DiffcError as DiffcError
    from .errors import LinkLost as LinkLost
    from .errors import LocalProtocolError as LocalProtocolError
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
    from .kept import FileStream as FileStream
    from .kept import Kept as Kept
    from .kept import MemoryStream as MemoryStream
    from .kept import outdated as outdated
    from .listening import Listener as Listener
    from .mirror import Mirror as Mirror
    from .mirror import Mirrored as Mirrored
    from .refiner import Refinement as Refinement
    from .sender import Sender as Sender
    from .sender import connect as connect
    from .store import Store as Store
    from .watching import Watch as Watch
    from .watching import Watcher as Watcher
    from .watching import watch as watch

_HOMES = {
    "Access": "access",
    "Address": "address",
    "AddressError": "errors",
    "CorruptStream": "errors",
    "Decoders": "decoding",
    "Delivery": "delivery",
    "DiffcError": "errors",
    "FileStream": "kept",
    "Kept": "kept",
    "LinkLost": "errors",
    "Listener": "listening",
    "LocalProtocolError": "errors",
    "MemoryStream": "kept",
    "Method": "decoding",
    "Mirror": "mirror",
    "Mirrored": "mirror",
    "ModelDecoders": "decoding",
    "ModelError": "errors",
    "NotAStream": "errors",
    "NothingDecodable": "errors",
    "PeerError": "errors",
    "PictureTooLarge": "errors",
    "Refinement": "refiner",
    "RemoteProtocolError": "errors",
    "SafetyError": "errors",
    "Sender": "sender",
    "SenderLeaving": "errors",
    "SessionError": "errors",
    "Store": "store",
    "StreamDecoder": "decoding",
    "StreamError": "errors",
    "TargetError": "errors",
    "Unauthorized": "errors",
    "UnknownImage": "errors",
    "UnknownModel": "errors",
    "UnreadableModel": "errors",
    "UnsupportedStream": "errors",
    "Watch": "watching",
    "Watcher": "watching",
    "connect": "sender",
    "outdated": "kept",
    "stream": "blocking",
    "watch": "watching",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # or any name at all would pass a type checker
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
