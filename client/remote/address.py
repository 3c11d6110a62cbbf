"""Addresses (URLs) of senders and pictures, parsed once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urlsplit

from diffc_stream.errors import AddressError
from diffc_stream.session.fields import Name
from diffc_stream.session.messages import MAX_NAME
from diffc_stream.transport import mqtt
from diffc_stream.transport.url import without_login

DEFAULT_PORT = 8765
MOST_QUERY = 4096
_PORTS = {"ws": DEFAULT_PORT, "wss": 443, "http": 80, "https": 443, **mqtt.PORTS}
_PLAIN = ("http", "https")
_QUERY = "!$&'()*+,;=:@/?%-._~[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """``ws://HOST[:PORT][/IMAGE]``, or ``wss://`` over TLS.

    A sender below a path, behind a reverse proxy, is ``ws://HOST[:PORT]/PATH/``, and a picture of
    it ``ws://HOST[:PORT]/PATH//IMAGE``.  With a single slash between the two, the sender tells at
    the connection which part is the path.

    ``http://`` and ``https://`` are any server that has streams as files; there, IMAGE is the full
    name of the stream, with ``.dfc``.

    ``mqtt://HOST[:PORT]/PREFIX`` and ``mqtts://`` are a broker to which a sender publishes, below
    the topic PREFIX, and ``mqtt://HOST[:PORT]/PREFIX//IMAGE`` is a picture of it.
    """

    scheme: str
    host: str
    """A host name or an IP address; one of IPv6 may have a zone: fe80::1%eth0."""
    port: int
    image: str | None = None
    """The picture's name, not percent-encoded; None for the sender itself."""
    base: str = ""
    """The sender's path behind a reverse proxy, not percent-encoded, without outer slashes."""
    query: str = ""
    """The query of a plain HTTP address, a signature for example.

    It may be a secret and may change, so ``str()`` leaves it out.
    """

    @classmethod
    def parse(cls, url: str) -> Address:
        """Parse an address.  Raises AddressError, which says what is wrong with it."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            # The message may quote a host with line separators, and has to be one line.
            reason = " ".join(str(error).split())
            raise AddressError(f"{without_login(url)!r} is not an address: {reason}") from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise AddressError(
                f"{without_login(url)!r} is not an address: it should be ws://HOST:PORT/IMAGE "
                "or http://HOST/IMAGE.dfc"
            )
        plain = parts.scheme in _PLAIN
        if (parts.query and not plain) or parts.fragment or "@" in parts.netloc:
            raise AddressError(
                f"{without_login(url)!r} is not an address: "
                "write '?', '#' and '@' in a name as %3F, %23 and %40"
            )
        if len(parts.query) > MOST_QUERY:
            raise AddressError(f"an address has at most {MOST_QUERY} characters after '?'")
        if port == 0:
            raise AddressError(f"{without_login(url)!r} is not an address: nothing is at port 0")
        path = unquote(parts.path).removeprefix("/")
        if parts.scheme in mqtt.PORTS and "//" not in path:
            path = f"{path.removesuffix('/')}/"  # all of it is the sender's
        base, image = _split(path, plain=plain)
        return cls(
            scheme=parts.scheme,
            host=_zoned(parts.hostname),
            port=port or _PORTS[parts.scheme],
            image=image or None,
            base=base,
            # Unchanged, except for characters that a request must not hold: a signature covers it.
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
        """The address without a zone, which means something to this machine only."""
        return replace(self, host=self.host.partition("%")[0])

    @property
    def plain(self) -> bool:
        """Whether it is of a plain HTTP server, with or without TLS."""
        return self.scheme in _PLAIN

    @property
    def mqtt(self) -> bool:
        """Whether it is of an MQTT broker, with or without TLS."""
        return self.scheme in mqtt.PORTS

    @property
    def secure(self) -> bool:
        """Whether the connection uses TLS."""
        return self.scheme in ("wss", "https", "mqtts")

    @property
    def root(self) -> str:
        """The sender's path, percent-encoded, without a slash at its end."""
        return f"/{quote(self.base)}" if self.base else ""

    @property
    def path(self) -> str:
        """The path of the picture in a request, percent-encoded."""
        return f"{self.root}/{quote(self.image or '')}"

    @property
    def websocket_path(self) -> str:
        """The path that a WebSocket request asks for: the sender's, or what may be it."""
        folder = "" if self.base else (self.image or "").rpartition("/")[0]
        return f"/{quote(folder)}/" if folder else f"{self.root}/"

    def below(self, base: str) -> Address:
        """Return the address with a path, which was taken for the beginning of the image."""
        assert self.image is not None
        return replace(self, base=base, image=self.image.removeprefix(f"{base}/"))

    @property
    def alone(self) -> Address:
        """The address of a sender, with all of its path taken as the sender's."""
        return replace(self, base="/".join(filter(None, (self.base, self.image))), image=None)

    @property
    def target(self) -> str:
        """The target of a request: the path, and the query if there is one."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def url(self) -> str:
        """The whole address with its query: for connecting, not for showing."""
        return f"{self}?{self.query}" if self.query else str(self)

    @property
    def authority(self) -> str:
        """The value of the Host header, without a zone.

        Raises UnicodeError if the host's name is not valid.
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
    """Return the sender's path and the picture's name; either may be empty.

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
    """Return a host with its zone as the system expects it, from either way of writing it."""
    address, percent, zone = host.partition("%")
    return f"{address}%{zone.removeprefix('25') or zone}" if percent and ":" in address else host
