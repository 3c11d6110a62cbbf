"""Where a sender is, and which of its pictures is meant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urlsplit

from diffc_stream.errors import AddressError
from diffc_stream.session.fields import Name
from diffc_stream.session.messages import MAX_NAME

DEFAULT_PORT = 8765
MOST_QUERY = 4096
_PORTS = {"ws": DEFAULT_PORT, "wss": 443, "http": 80, "https": 443}
_PLAIN = ("http", "https")
_QUERY = "!$&'()*+,;=:@/?%-._~[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """``ws://HOST[:PORT][/IMAGE]``, or ``wss://`` over TLS.

    A sender below a path, behind a reverse proxy, is ``ws://HOST[:PORT]/PATH/``, and a picture of
    it ``ws://HOST[:PORT]/PATH//IMAGE``; with one slash between the two the sender tells, when it is
    asked, what of it is the path.

    ``http://`` and ``https://`` are any server that has streams as files; there, IMAGE is the
    stream's name, ``.dfc`` and all.
    """

    scheme: str
    host: str
    """A name or an address, one of IPv6 perhaps with a zone: fe80::1%eth0."""
    port: int
    image: str | None = None
    """The picture's name, not percent-encoded; None: the sender itself."""
    base: str = ""
    """The path that the sender is below, not percent-encoded, without slashes around it."""
    query: str = ""
    """What a request over plain HTTP says after the name, a signature for example.

    It may be a secret and may change, so it is no part of what the address is called.
    """

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read an address.  Raises AddressError, which says what is wrong with it."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            # It may quote a host with whatever line separators Unicode has.
            reason = " ".join(str(error).split())
            raise AddressError(f"{url!r} is not an address: {reason}") from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise AddressError(
                f"{url!r} is not an address: it should be ws://HOST:PORT/IMAGE "
                "or http://HOST/IMAGE.dfc"
            )
        plain = parts.scheme in _PLAIN
        if (parts.query and not plain) or parts.fragment or "@" in parts.netloc:
            raise AddressError(
                f"{url!r} is not an address: write '?', '#' and '@' in a name as %3F, %23 and %40"
            )
        if len(parts.query) > MOST_QUERY:
            raise AddressError(f"an address has at most {MOST_QUERY} characters after '?'")
        base, image = _split(unquote(parts.path).removeprefix("/"), plain=plain)
        return cls(
            scheme=parts.scheme,
            host=_zoned(parts.hostname),
            port=port or _PORTS[parts.scheme],
            image=image or None,
            base=base,
            # As it is but for what no request may hold: a signature is of its very characters.
            query=quote(parts.query, safe=_QUERY),
        )

    @property
    def picture(self) -> str:
        """The picture's name.  Raises AddressError if it names none."""
        if self.image is None:
            raise AddressError(f"'{self}' names no picture: it should be ws://HOST:PORT/IMAGE")
        return self.image

    @property
    def sender(self) -> Address:
        """The address without the picture."""
        return replace(self, image=None, query="")

    @property
    def zoneless(self) -> Address:
        """The address as it can be told to somebody else."""
        return replace(self, host=self.host.partition("%")[0])

    @property
    def plain(self) -> bool:
        """It is of a server that need not know this project: plain HTTP, with or without TLS."""
        return self.scheme in _PLAIN

    @property
    def secure(self) -> bool:
        """Whoever is asked proves who it is, and nobody else can read what is said."""
        return self.scheme in ("wss", "https")

    @property
    def root(self) -> str:
        """The path that the sender is below, percent-encoded, to be followed by a slash."""
        return f"/{quote(self.base)}" if self.base else ""

    @property
    def path(self) -> str:
        """What a request names the picture by, percent-encoded."""
        return f"{self.root}/{quote(self.image or '')}"

    @property
    def door(self) -> str:
        """What a request for a WebSocket asks for: the path of the sender, or what may be it."""
        folder = "" if self.base else (self.image or "").rpartition("/")[0]
        return f"/{quote(folder)}/" if folder else f"{self.root}/"

    def below(self, base: str) -> Address:
        """The address when its sender turns out to be below a path, which begins the image."""
        assert self.image is not None
        return replace(self, base=base, image=self.image.removeprefix(f"{base}/"))

    @property
    def alone(self) -> Address:
        """The address as one of a sender, all of its path being that sender's."""
        return replace(self, base="/".join(filter(None, (self.base, self.image))), image=None)

    @property
    def target(self) -> str:
        """What a request asks for: the path, and the query if there is one."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def url(self) -> str:
        """The whole address, its query included: for connecting, and not for showing."""
        return f"{self}?{self.query}" if self.query else str(self)

    @property
    def authority(self) -> str:
        """What a request names the host by; raises UnicodeError if it cannot be a host's name.

        A zone means nothing to anybody else.
        """
        host = self.zoneless.host
        host = f"[{host}]" if ":" in host else host.encode("idna").decode()
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        host = f"[{self.host.replace('%', '%25')}]" if ":" in self.host else self.host
        place = f"{self.scheme}://{host}:{self.port}"
        if self.image is None:
            return f"{place}{self.root}/" if self.base else place
        if self.plain:
            return f"{place}{self.path}"
        return f"{place}{self.root}{'/' if self.base else ''}/{quote(self.image)}"


def _split(path: str, *, plain: bool) -> tuple[str, str]:
    """Return the path that a sender is below, and a picture's name; either may be empty.

    Raises AddressError.
    """
    base, image = "", path
    if path.endswith("/"):
        base, image = path[:-1], ""
    elif not plain and "//" in path:
        base, _, image = path.partition("//")
    for what, name in (("a path", base), ("a picture's name", image)):
        try:
            if name:
                Name(MAX_NAME).parse(name)
        except ValueError as error:
            raise AddressError(f"{name!r} is not {what}: it {error}") from error
    return base, image


def _zoned(host: str) -> str:
    """Return a host with its zone as systems take it, written as RFC 6874 has it or as they do."""
    address, percent, zone = host.partition("%")
    return f"{address}%{zone.removeprefix('25') or zone}" if percent and ":" in address else host
