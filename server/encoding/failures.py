"""Maps errors of a stream to the refusal that receivers get, and logs them."""

from __future__ import annotations

import logging

from diffc_stream.errors import PictureError, PrefixMismatch, RequestRefused, StreamError
from diffc_stream.opening import is_passing
from diffc_stream.session import Code

from ..catalogue.file import try_later, unreadable

logger = logging.getLogger("diffc_server")


def refusal(name: str, error: Exception) -> RequestRefused:
    """Log why the picture of that name cannot be sent; return the refusal for its receivers."""
    match error:
        case RequestRefused():
            return error
        case _ if is_passing(error):
            # A passing error says nothing about the picture, and must not be remembered.
            logger.warning("cannot serve %s at the moment: %s", name, error)
            return try_later()
        case PrefixMismatch():
            # Receivers may hold a part of this stream; only a new stream can begin anew.
            logger.warning("cannot continue %s: %s", name, error)
            return RequestRefused(Code.INTERNAL, "it cannot be continued as it began")
        case PictureError() | StreamError():
            logger.warning("cannot serve %s: %s", name, error)
            return RequestRefused(Code.UNREADABLE_IMAGE, "it cannot be read as a picture")
        case OSError():
            logger.warning("cannot serve %s: %s", name, error.strerror or error)
            return unreadable(error)
        case _:
            # An unexpected error ends this picture's stream, and must not end the daemon.
            logger.error("encoding %s failed", name, exc_info=error)
            return RequestRefused(Code.INTERNAL, f"encoding it failed: {type(error).__name__}")
