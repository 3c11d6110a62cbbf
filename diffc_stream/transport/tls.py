"""TLS at either end: the certificate that a port shows, and the authorities to trust."""

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
    """A chain of certificates and its key, in files.  The TLS version is at least 1.2."""

    def __init__(
        self,
        chain: Path,
        key: Path | None = None,
        *,
        logger: logging.Logger = _LOGGER,
    ) -> None:
        """Read the files; without ``key``, the key is in the same file.  Raises SafetyError."""
        self._logger = logger
        self._chain = chain
        self._key = key or chain
        self._seen = self._stamps()
        self.context = self._load(_context())
        """The context for all handshakes; it always has the certificate that was read last."""

    def reread(self) -> None:
        """Read the files again if they have changed.  Open connections are not affected.

        If the files cannot be read, or do not fit each other (one may be older for a moment), that
        is logged, and the earlier certificate stays in use.
        """
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._load(_context())  # First into a new context, to keep errors from the one in use.
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
    """Return a context that verifies peers by the authorities in a PEM file, and no others.

    None stands for the authorities of the system.  Raises SafetyError.
    """
    try:
        return ssl.create_default_context(cafile=authorities)
    except ssl.SSLError as error:
        raise SafetyError(f"{authorities} holds no certificates") from error
    except OSError as error:
        raise SafetyError(f"{authorities} cannot be read: {error.strerror}") from error


async def speaks_tls(host: str, port: int, *, patience: float) -> bool:
    """Return whether the port speaks TLS, with any certificate.

    Also returns False if there is no answer within ``patience`` seconds.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # It is told nothing.
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        # A peer that refuses with a TLS alert speaks TLS.
        return "ALERT" in (error.reason or "")
    except (OSError, UnicodeError):
        return False
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def speaks_http(host: str, port: int, *, patience: float) -> bool:
    """Return whether the port speaks HTTP without TLS.

    Also returns False if there is no answer within ``patience`` seconds.
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
    # OpenSSL would ask for the password on the terminal, and a daemon has none.
    raise SafetyError("the key is encrypted: store it without a password, for this user alone")
