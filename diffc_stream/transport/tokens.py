"""Tokens of those who may connect, kept as hashes in a file that people can read and edit.

    [[token]]
    name = "ship"
    sha256 = "..."                        # of the token itself, which only the ship has
    expires = 2027-01-01T00:00:00Z        # optional
    connections = 4                       # limits, optional

A token is 256 random bits.  Unlike a password, it cannot be guessed from its hash, however fast
hashes are computed.  So SHA-256 without salt or stretching is enough; it takes a microsecond for
each client.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from diffc_stream.destination import writing
from diffc_stream.errors import SafetyError
from diffc_stream.replacement import stamp

from .toml import read_toml

MOST_TOKENS = 1000
MOST_FILE = 2**20
"""Most bytes of a file of tokens."""
MOST_LIMIT = 2**53
EMPTY = 10.0
"""Seconds that a file has to be empty before all tokens count as removed."""
LONGEST_TOKEN = 256
"""Most characters of a token that a client shows."""
LIMITS = frozenset(
    [
        *("connections", "streams", "bytes_per_second", "bytes_per_hour"),
        *("encoder_seconds_per_hour", "unproven_seconds_per_hour", "requests_per_second"),
    ]
)
"""The limits that a token's entry may set."""

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._@-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(rf"[0-9A-Za-z._~-]{{1,{LONGEST_TOKEN}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An entry of the file."""

    name: str
    sha256: str
    """Hash of the token itself, in hexadecimal."""
    expires: datetime | None = None
    """When it expires, with a time zone."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """The limits of :data:`LIMITS` that it sets; 0 means no limit."""

    def good(self, now: datetime) -> bool:
        """Return whether it has not expired."""
        return self.expires is None or now < self.expires


class Tokens:
    """The contents of a file of tokens when it was last read."""

    def __init__(self, path: Path) -> None:
        """Read ``path``.  Raises SafetyError."""
        self._path = path
        self._seen = stamp(path)
        self._tokens: tuple[Token, ...] = ()
        self._by_hash: dict[str, Token] = {}
        self._keep(_parse(path))

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, shown: str, now: datetime) -> Token | None:
        """Return the entry for the token ``shown``, if there is one and it has not expired.

        The time that this takes depends only on the number of tokens.
        """
        digest = digest_of(shown)
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found if found is not None and found.good(now) else None

    def holds(self, token: Token, now: datetime) -> bool:
        """Return whether a token found earlier is still in the file and has not expired."""
        return self.current(token, now) is not None

    def current(self, token: Token, now: datetime) -> Token | None:
        """Return what the file says now of a token found earlier; None if it is not valid now."""
        held = self._by_hash.get(token.sha256)
        return held if held is not None and held.good(now) else None

    def reread(self) -> bool:
        """Read the file again if it has changed, and return whether it had.

        Raises SafetyError once for each change that cannot be read; the tokens then stay as they
        were.  They also stay for a moment if the file is empty, because it may be being written.
        """
        now = stamp(self._path)
        if now == self._seen or (self._tokens and _just_emptied(self._path)):
            return False
        self._seen = now
        self._keep(_parse(self._path))
        return True

    def _keep(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens
        self._by_hash = {token.sha256: token for token in tokens}


def digest_of(token: str) -> str:
    """Return the hash that is kept of a token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def is_token(text: str) -> bool:
    """Return whether ``text`` can be a token: it must fit headers, cookies and subprotocols."""
    return _TOKEN.fullmatch(text) is not None


def add_token(path: Path, name: str, expires: datetime | None = None) -> str:
    """Make a token with a name, add its hash to a file, and return the token.

    A file that exists keeps its owner, group and mode, because a daemon may read it as its group; a
    new one is for its owner only.  Only the hash is kept, so the token cannot be shown again.
    Raises SafetyError if there is a token of that name or the file cannot be read; raises OSError,
    also if owner and group cannot be kept.
    """
    if not _NAME.fullmatch(name):
        raise SafetyError(f"{name!r} is no name for a token: letters, digits, '.', '_', '@', '-'")
    held = _parse(path) if path.exists() else ()
    if any(token.name == name for token in held):
        raise SafetyError(f"{path} has a token {name!r}: remove it there, or take another name")
    if len(held) >= MOST_TOKENS:
        raise SafetyError(f"{path} has {MOST_TOKENS} tokens, which is the most")
    token = secrets.token_urlsafe(32)
    lines = ["[[token]]", f'name = "{name}"', f'sha256 = "{digest_of(token)}"']
    if expires is not None:
        lines.append(f"expires = {expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    before = path.read_text(encoding="utf-8").rstrip() + "\n\n" if path.exists() else ""
    replaced = path.stat() if path.exists() else None
    with writing(path) as file:
        # Set before anything is written: hashes reveal no tokens, but names may reveal people.
        _protect(file, path, replaced)
        file.write((before + "\n".join(lines) + "\n").encode())
    return token


def _protect(file: BinaryIO, path: Path, replaced: os.stat_result | None) -> None:
    """Have a file be for those who may use the one at ``path`` that it replaces, if it does.

    Raises PermissionError if owner and group would change.
    """
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or not status.st_nlink:
        return  # a device, or a temporary file whose contents are written to the one at ``path``
    mode = 0o600
    if replaced is not None:
        mode = stat.S_IMODE(replaced.st_mode)
        owners = replaced.st_uid, replaced.st_gid
        if owners != (status.st_uid, status.st_gid):
            try:
                os.fchown(file.fileno(), *owners)
            except PermissionError as error:
                text = "only its owner or root can add to it, so that it keeps owner and group"
                raise PermissionError(error.errno, text, str(path)) from error
    os.chmod(file.fileno() if os.chmod in os.supports_fd else file.name, mode)  # noqa: PTH101


def _just_emptied(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False  # Reading the file will raise the error.
    return status.st_size == 0 and abs(time.time() - status.st_mtime) < EMPTY


def _parse(path: Path) -> tuple[Token, ...]:
    try:
        contents = read_toml(path, MOST_FILE)
    except OSError as error:
        raise SafetyError(f"{path} cannot be read: {error.strerror}") from error
    except OverflowError as error:
        raise SafetyError(f"{path} is longer than {MOST_FILE} bytes: no file of tokens") from error
    except ValueError as error:
        raise SafetyError(f"{path} is no file of tokens: {error}") from error
    entries = contents.pop("token", [])
    if contents or not isinstance(entries, list) or len(entries) > MOST_TOKENS:
        raise SafetyError(f"{path} is no file of tokens: it should have [[token]], and no more")
    tokens = tuple(_token(path, entry) for entry in entries)
    for values in ([token.name for token in tokens], [token.sha256 for token in tokens]):
        if len(set(values)) < len(values):
            raise SafetyError(f"{path} has a token twice")
    return tokens


def _token(path: Path, entry: object) -> Token:
    if not isinstance(entry, dict):
        raise SafetyError(f"{path} is no file of tokens: a [[token]] has no fields")
    name, sha256, expires = entry.get("name"), entry.get("sha256"), entry.get("expires")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SafetyError(f"{path}: a token without a proper name")
    if not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
        raise SafetyError(f"{path}: token {name!r} has no proper sha256")
    if expires is not None and (not isinstance(expires, datetime) or expires.tzinfo is None):
        raise SafetyError(f"{path}: token {name!r} expires at no moment: 2027-01-01T00:00:00Z")
    limits = {key: entry[key] for key in entry.keys() - {"name", "sha256", "expires"}}
    for key, value in limits.items():
        if key not in LIMITS:
            raise SafetyError(f"{path}: token {name!r} has {str(key)[:64]!r}, which is not known")
        if type(value) not in (int, float) or not 0 <= value <= MOST_LIMIT:
            raise SafetyError(f"{path}: token {name!r}: {key} is no number from 0 up")
    return Token(name=name, sha256=sha256, expires=expires, limits=limits)
