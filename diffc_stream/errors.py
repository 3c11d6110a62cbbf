"""All errors that this project raises on purpose, and how other errors are shown to users.

    DiffcError                        exit code 1
    |-- PictureError                  4   the picture handed in cannot be used
    |   |-- UnreadablePicture             not an image, truncated, no pixels
    |   |-- PictureTooLarge               a decompression bomb, or beyond the format's limit
    |   `-- UnusablePictures              some of many; the others are done
    |-- StreamError                   5   the .dfc bytes handed in cannot be used
    |   |-- NotAStream                    they do not start like a .dfc stream
    |   |-- UnsupportedStream             a newer version, or a signal or simulator we do not know
    |   |-- CorruptStream                 a check failed, or a field is out of its range
    |   |-- PrefixMismatch                they do not begin the stream that is to continue them
    |   |-- DamagedPacket                 bytes that are no packet, or no longer the one sent
    |   `-- NothingDecodable          3   too short: not even a first record has arrived
    |-- SimulationError               1   a channel simulator cannot code this shift, or not so
    short |-- MissingPackage                1   an optional package that this needs is not installed
    |-- UnknownEngine                 2   DIFFC_ENGINE names no engine
    |-- TargetError                   2   a byte or bpp target that no stream can meet
    |-- DestinationError              2   output cannot be written there, or not as asked
    |-- AddressError                  2   not the address of a sender, or of a store
    |-- ConfigurationError            2   a configuration file or a variable has an invalid value
    |-- SafetyError                   2   certificates or tokens are unusable, or missing
    |-- ModelError                    6
    |   |-- UnknownModel                  the stream was made with a model that is not here
    |   `-- UnreadableModel               a weights file that cannot be loaded
    |-- MissingReference              6   a stream starts from a picture that is not here
    `-- SessionError                  7   something went wrong between the two ends
        |-- LocalProtocolError            this side used the session wrongly (a bug here)
        |-- RemoteProtocolError           the peer broke the protocol
        |-- RequestRefused                this side refuses what the peer asked for
        |-- PeerError                     the peer reported an error: ``code``, ``retry``, ``model``
        |   `-- UnknownImage              ... that it has no picture of that name
        |-- Unauthorized              8   the sender demands a token, another one, or a safe link
        `-- LinkLost                      the connection failed, or was lost
            `-- SenderLeaving             ... because the sender shuts down: ``wait``

Truncation is not an error: a stream cut anywhere decodes to what has arrived.
Each class has the ``exit_code`` of the commands that end with it; 2 is also argparse's.
"""

from __future__ import annotations

from typing import ClassVar


class DiffcError(Exception):
    """Base of all errors raised on purpose; ``str(error)`` is one line fit for a user."""

    exit_code: ClassVar[int] = 1


class PictureError(DiffcError):
    """A picture cannot be used."""

    exit_code = 4


class UnreadablePicture(PictureError):
    """Not an image, a truncated image, or one without pixels."""


class PictureTooLarge(PictureError):
    """More pixels than the limit allows."""


class UnusablePictures(PictureError):
    """Some of many pictures cannot be used; the others are done."""


class StreamError(DiffcError):
    """Bytes that should be a .dfc stream cannot be used."""

    exit_code = 5


class NotAStream(StreamError):
    """The bytes do not start like a .dfc stream."""


class NotAClip(StreamError):
    """The stream has a single picture, where one of several was wanted, or the reverse."""


class UnsupportedStream(StreamError):
    """A stream of a version, signal or simulator that this release does not know."""


class CorruptStream(StreamError):
    """A check failed or a field is out of range; ``offset`` says where (bytes from the start)."""

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(f"{message} (at byte {offset})")
        self.offset = offset


class PrefixMismatch(StreamError):
    """The bytes to continue are damaged, or not the beginning of this picture's stream."""


class DamagedPacket(StreamError):
    """Bytes that are no packet of a stream, or not any more the one that was sent."""


class NothingDecodable(StreamError):
    """The stream ends before anything of a first record has arrived."""

    exit_code = 3


class SimulationError(DiffcError):
    """A channel simulator cannot code this shift, or not with a payload of this length."""


class MissingPackage(DiffcError):
    """Something needs a package that is not installed; the message says how to install it."""


class UnknownEngine(DiffcError):
    """The environment names an engine that does not exist."""

    exit_code = 2


class TargetError(DiffcError):
    """A byte or bits-per-pixel target that no stream can meet."""

    exit_code = 2


class DestinationError(DiffcError):
    """Output cannot go there, or input cannot come from there, or not in the way asked for."""

    exit_code = 2


class AddressError(DiffcError):
    """Not the address of a sender, of one of its pictures, or of a store."""

    exit_code = 2


class ConfigurationError(DiffcError):
    """A configuration file, or a variable of the environment, has an invalid value."""

    exit_code = 2


class SafetyError(DiffcError):
    """Certificates or tokens cannot be used, or are missing where they must not be."""

    exit_code = 2


class ModelError(DiffcError):
    """A model is missing or unusable."""

    exit_code = 6


class UnknownModel(ModelError):
    """A stream was made with a model that is not at hand."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__(
            f"this stream needs the model {fingerprint}, which is not here: "
            "update diffc-stream, or give its file with --model FILE or diffc models add FILE"
        )
        self.fingerprint = fingerprint


class UnreadableModel(ModelError):
    """A weights file cannot be loaded."""


class MissingReference(DiffcError):
    """A stream starts from a picture that is not at hand; ``reference`` says which, in words."""

    exit_code = 6

    def __init__(self, reference: str, why: str = "give its file with --reference FILE") -> None:
        super().__init__(f"this stream starts from a picture that is not here ({reference}): {why}")
        self.reference = reference


class SessionError(DiffcError):
    """Something went wrong between sender and receiver."""

    exit_code = 7


class LocalProtocolError(SessionError):
    """This side asked the session for something its state does not allow."""


class RemoteProtocolError(SessionError):
    """The peer broke the protocol."""


class RequestRefused(SessionError):
    """This side refuses what the peer asked for; the attributes are sent to the peer.

    ``model`` is the fingerprint of a model that the peer lacks.  With ``retry``, ``after`` is the
    number of seconds after which it may ask again.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry: bool = False,
        model: str | None = None,
        after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry = retry
        self.model = model
        self.after = after


class PeerError(SessionError):
    """The peer reported an error.

    ``model`` is the fingerprint of a model that this side lacks.  With ``retry``, ``after`` is the
    number of seconds after which it makes sense to ask again.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry: bool = False,
        model: str | None = None,
        after: float | None = None,
    ) -> None:
        super().__init__(f"the peer says: {message} [{code}]")
        self.code = code
        self.retry = retry
        self.model = model
        self.after = after


class UnknownImage(PeerError):
    """The sender has no picture of the name asked for."""


class Unauthorized(SessionError):
    """The sender demands a token, or a different one, or a safer connection."""

    exit_code = 8


class LinkLost(SessionError):
    """The connection could not be made, or was lost."""


class SenderLeaving(LinkLost):
    """The sender is shutting down; come back after a random part of ``wait`` seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__("the sender is shutting down")
        self.wait = wait


def one_line(error: OSError) -> str:
    """Return the system's message and the file that it concerns, as one line for a user."""
    if error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error.strerror or error)


def reason(error: Exception) -> str:
    """Return why something failed as one line for a user, whatever was raised."""
    if isinstance(error, DiffcError):
        return str(error)
    if isinstance(error, OSError):
        return one_line(error)
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
