"""Where a sender is, and which of its pictures is meant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urlsplit

from diffc_stream.errors import AddressError
from diffc_stream.session.fields import Name

DEFAULT_PORT = 8765


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """``ws://HOST[:PORT][/IMAGE]``, or ``wss://`` through a proxy that adds TLS."""

    scheme: str
    host: str
    port: int
    image: str | None = None
    """The picture's name, not percent-encoded; None: the sender itself."""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read an address.  Raises AddressError, which says what is wrong with it."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise AddressError(f"{url!r} is not an address: {error}") from error
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise AddressError(f"{url!r} is not an address: it should be ws://HOST:PORT/IMAGE")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise AddressError(
                f"{url!r} is not an address: write '?', '#' and '@' in a name as %3F, %23 and %40"
            )
        image = unquote(parts.path).removeprefix("/")
        if image:
            try:
                Name(255).parse(image)
            except ValueError as error:
                raise AddressError(f"{image!r} is not a picture's name: it {error}") from error
        default = DEFAULT_PORT if parts.scheme == "ws" else 443
        return cls(
            scheme=parts.scheme, host=parts.hostname, port=port or default, image=image or None
        )

    @property
    def sender(self) -> Address:
        """The address without the picture."""
        return replace(self, image=None)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        image = f"/{quote(self.image)}" if self.image else ""
        return f"{self.scheme}://{host}:{self.port}{image}"
