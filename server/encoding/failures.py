"""What is told, and logged, of a picture whose stream cannot be computed."""

from __future__ import annotations

import logging

from diffc_stream.errors import PictureError, PrefixMismatch, RequestRefused, StreamError
from diffc_stream.opening import is_passing
from diffc_stream.session import Code

from ..catalogue.file import later, refused

logger = logging.getLogger("diffc_server")


def refusal(name: str, error: Exception) -> RequestRefused:
    """Return what those are told who ask for the picture of that name, and log why."""
    match error:
        case RequestRefused():
            return error
        case _ if is_passing(error):
            # It says nothing about the picture, and is not remembered as if it did.
            logger.warning("cannot serve %s at the moment: %s", name, error)
            return later()
        case PrefixMismatch():
            # Some of it may have been sent: what is encoded anew is another stream's business.
            logger.warning("cannot go on with %s: %s", name, error)
            return RequestRefused(Code.INTERNAL, "it cannot be continued as it began")
        case PictureError() | StreamError():
            logger.warning("cannot serve %s: %s", name, error)
            return RequestRefused(Code.UNREADABLE_IMAGE, "it cannot be read as a picture")
        case OSError():
            logger.warning("cannot serve %s: %s", name, error.strerror or error)
            return refused(error)
        case _:
            # Whatever went wrong in there, it is this picture's problem and not the daemon's.
            logger.error("encoding %s failed", name, exc_info=error)
            return RequestRefused(Code.INTERNAL, f"encoding it failed: {type(error).__name__}")
