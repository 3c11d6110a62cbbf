"""TLS at either end: the certificate that a port shows, and whom to believe that somebody is it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
from pathlib import Path

from diffc_stream.errors import SafetyError
from diffc_stream.replacement import stamp

_LOGGER = logging.getLogger(__name__)


class Certificate:
    """A chain of certificates and its key, in files; TLS 1.2 is the least that is spoken."""

    def __init__(
        self,
        chain: Path,
        key: Path | None = None,
        *,
        logger: logging.Logger = _LOGGER,
    ) -> None:
        """Read them; without a ``key`` it is in the same file.  Raises SafetyError."""
        self._logger = logger
        self._chain = chain
        self._key = key or chain
        self._seen = self._stamps()
        self.context = self._load(_context())
        """For all handshakes from now on, with whatever certificate is read later."""

    def reread(self) -> None:
        """Read the files again if they have changed; connections that are open stay as they are.

        If they cannot be read, or do not fit each other (one may be older for a moment), that is
        logged, and the certificate from before is shown.
        """
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._load(_context())  # what does not fit must not get near the one in use
            self._load(self.context)
            self._logger.info("the certificate was read again")
        except SafetyError as error:
            self._logger.error("the certificate stays as it was: %s", error)

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        try:
            context.load_cert_chain(self._chain, self._key, password=_no_password)
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            raise SafetyError(
                f"{self._chain} and {self._key} are no certificate and its key: {reason}"
            ) from error
        except OSError as error:
            raise SafetyError(f"{self._missing()} cannot be read: {error.strerror}") from error
        return context

    def _missing(self) -> Path:
        return self._key if self._chain.is_file() else self._chain

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [stamp(path) for path in (self._chain, self._key)]


@functools.lru_cache(maxsize=8)
def believing(authorities: Path | None) -> ssl.SSLContext:
    """Return what makes sure who a peer is; None: by the authorities that the system believes.

    Else those in the file, PEM, and no others.  Raises SafetyError.
    """
    try:
        return ssl.create_default_context(cafile=authorities)
    except ssl.SSLError as error:
        raise SafetyError(f"{authorities} holds no certificates") from error
    except OSError as error:
        raise SafetyError(f"{authorities} cannot be read: {error.strerror}") from error


async def speaks_tls(host: str, port: int, *, patience: float) -> bool:
    """Tell whether somebody speaks TLS there, whoever it is.

    False too if that takes more than ``patience`` seconds to tell.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is said to it
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        # Who refuses us in TLS speaks it.
        return "ALERT" in (error.reason or "")
    except (OSError, UnicodeError):
        return False
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def speaks_http(host: str, port: int, *, patience: float) -> bool:
    """Tell whether somebody speaks HTTP there, without TLS.

    False too if that takes more than ``patience`` seconds to tell.
    """
    writer = None
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"HEAD / HTTP/1.0\r\n\r\n")
            return await reader.readexactly(5) == b"HTTP/"
    except (OSError, UnicodeError, asyncio.IncompleteReadError):
        return False
    finally:
        if writer is not None:
            writer.transport.abort()


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _no_password() -> str:
    # OpenSSL would ask on the terminal, and a daemon has none.
    raise SafetyError("the key is encrypted: store it without a password, for this user alone")
