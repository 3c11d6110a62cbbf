"""Shows the newest picture as a camera of Home Assistant, which finds it by itself (discovery)."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from PIL import Image

from diffc_stream.transport.mqtt import MOST_MESSAGE
from diffc_stream.transport.mqtt_topics import Topics

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model
    from diffc_stream.references import Pictures

DISCOVERY = "homeassistant"
"""The topic below which Home Assistant looks for devices."""
SIDE = 1280
"""Pixels of the longer side, at most."""
LEAST_SIDE = 160
QUALITY = 85
_OTHER = re.compile(r"[^a-zA-Z0-9_-]+")


class Camera:
    """The newest picture of a sender, as a JPEG."""

    def __init__(self, topics: Topics, models: Mapping[str, Model], *, most_pixels: int) -> None:
        """Decode with ``models``, by fingerprint, pictures of at most ``most_pixels``."""
        self._topics = topics
        self._models = models
        self._most_pixels = most_pixels
        self._pictures: Pictures | None = None
        """Those that streams have started from; made late, because that brings the codec."""
        self.id = f"diffc_{_OTHER.sub('_', topics.prefix)}"
        """By which Home Assistant knows it."""

    @property
    def topic(self) -> str:
        """The topic of :meth:`config`."""
        return f"{DISCOVERY}/camera/{self.id}/config"

    def config(self) -> bytes:
        """Return what tells Home Assistant of the camera, in JSON."""
        topics = self._topics
        return json.dumps(
            {
                "name": None,  # as the device
                "unique_id": self.id,
                "topic": topics.image,
                "availability_topic": topics.status,
                "device": {
                    "identifiers": [self.id],
                    "name": topics.prefix,
                    "manufacturer": "diffc-stream",
                },
            }
        ).encode()

    def render(self, stream: bytes, files: Iterable[bytes] = ()) -> bytes:
        """Return the picture in ``stream`` as a JPEG that fits a message; slow.

        ``files`` are the beginnings of streams that it goes back to.  Raises StreamError,
        MissingReference, or UnknownModel if its model is not at hand.
        """
        from diffc_stream.codec import Decoder
        from diffc_stream.references import Pictures, References, among

        self._pictures = self._pictures or Pictures()
        references = References(
            self._models, among(files), pictures=self._pictures, most_pixels=self._most_pixels
        )
        decoder = Decoder(self._models, most_pixels=self._most_pixels, references=references)
        decoder.feed(stream)
        picture = Image.fromarray(decoder.render().image)
        side = SIDE
        while True:
            small = picture.copy()
            small.thumbnail((side, side), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            small.save(buffer, "JPEG", quality=QUALITY)
            if buffer.tell() <= MOST_MESSAGE or side <= LEAST_SIDE:
                return buffer.getvalue()
            side = side * 3 // 4
