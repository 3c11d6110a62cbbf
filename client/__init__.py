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
Errors are those of :mod:`diffc_stream.errors`.
"""

from .access import Access
from .address import Address
from .blocking import stream
from .decoding import Decoders, Method, ModelDecoders, StreamDecoder
from .delivery import Delivery
from .kept import FileStream, Kept, MemoryStream, outdated
from .listening import Listener
from .mirror import Mirror, Mirrored
from .refiner import Refinement
from .sender import Sender, connect
from .store import Store
from .watching import Watch, Watcher, watch

__all__ = [
    "Access",
    "Address",
    "Decoders",
    "Delivery",
    "FileStream",
    "Kept",
    "Listener",
    "MemoryStream",
    "Method",
    "Mirror",
    "Mirrored",
    "ModelDecoders",
    "Refinement",
    "Sender",
    "Store",
    "StreamDecoder",
    "Watch",
    "Watcher",
    "connect",
    "outdated",
    "stream",
    "watch",
]
