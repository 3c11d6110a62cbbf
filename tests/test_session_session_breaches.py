"""A session, and a peer or a caller that breaks the protocol."""

from __future__ import annotations

import pytest
from greeted import ready_receiver, ready_sender

from diffc_stream.errors import (
    LocalProtocolError,
    PeerError,
    RemoteProtocolError,
    Unauthorized,
    UnknownImage,
)
from diffc_stream.session import (
    Ack,
    Alive,
    Catalogue,
    Code,
    Data,
    End,
    Error,
    Hello,
    List,
    Open,
    Reason,
    ReceiverSession,
    SenderSession,
    Target,
    Terms,
    Welcome,
    decode,
    encode,
    peer_error,
)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "an empty message"),
        ("text", "a text message"),
        (encode(List())[:1], "not a MessagePack array"),
        (encode(Ack(received=1)), "ACK of 1 bytes where 0 to 0 are possible"),
        (encode(End(stream=1, reason=Reason.TARGET, length=0)), "an unexpected END"),
        (encode(Hello(window=8192, idle=1.0)), "an unexpected HELLO"),
    ],
)
def test_a_receiver_that_breaks_the_protocol(data: bytes | str, complaint: str) -> None:
    session = ready_sender()
    with pytest.raises(RemoteProtocolError, match=complaint):
        session.receive(data, 1.0)
    [last] = [decode(message) for message in session.transmit(1.0)]
    assert isinstance(last, Error)
    assert (last.stream, last.code) == (0, Code.PROTOCOL)
    assert session.closed
    with pytest.raises(RemoteProtocolError):
        session.receive(encode(Alive()), 2.0)
    assert session.transmit(2.0) == []


def test_acknowledgements_never_go_back() -> None:
    session = ready_sender()
    session.receive(encode(Open(stream=1, image="a")), 0.0)
    session.send(1, bytes(1000))
    session.receive(encode(Ack(received=600)), 0.0)
    assert session.credit == 8192 - 400
    for lie in (599, 1001):
        other = ready_sender()
        other.receive(encode(Open(stream=1, image="a")), 0.0)
        other.send(1, bytes(1000))
        other.receive(encode(Ack(received=600)), 0.0)
        with pytest.raises(RemoteProtocolError, match="are possible"):
            other.receive(encode(Ack(received=lie)), 0.0)


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([Data(stream=1, offset=1, payload=b"x")], "byte 1, not 0"),
        ([Data(stream=1, offset=0, payload=bytes(101))], "more than was asked for"),
        ([Data(stream=2, offset=0, payload=b"x")], "stream 2 is IDLE"),
        ([End(stream=1, reason=Reason.COMPLETE, length=5)], "at byte 5, but 0 came"),
        ([End(stream=1, reason=Reason.TARGET, length=0, updates=1)], "more UPDATEs than were said"),
        ([Catalogue(images=(), last=True)], "a CATALOGUE without a LIST"),
        ([Welcome(window=512, idle=1.0, streams=1)], "an unexpected WELCOME"),
        (
            [
                End(stream=1, reason=Reason.COMPLETE, length=0),
                Data(stream=1, offset=0, payload=b"x"),
            ],
            "stream 1 is CLOSED",
        ),
    ],
)
def test_a_sender_that_breaks_the_protocol(messages: list[Data | End], complaint: str) -> None:
    session = ready_receiver()
    session.open("a", target=Target(bytes=100))
    *before, last = messages
    for message in before:
        session.receive(encode(message), 0.0)
    with pytest.raises(RemoteProtocolError, match=complaint):
        session.receive(encode(last), 0.0)
    assert session.closed


def test_a_sender_that_exceeds_the_window() -> None:
    session = ready_receiver(window=512)
    session.open("a")
    with pytest.raises(RemoteProtocolError, match="more than the window allows"):
        session.receive(encode(Data(stream=1, offset=0, payload=bytes(513))), 0.0)


def test_a_sender_that_widens_the_window() -> None:
    session = ReceiverSession(now=0.0, terms=Terms(window=1024))
    with pytest.raises(RemoteProtocolError, match="larger than HELLO's"):
        session.receive(encode(Welcome(window=1025, idle=60.0, streams=4)), 0.0)


def test_a_peer_that_gives_up_is_quoted() -> None:
    session = ready_receiver()
    with pytest.raises(PeerError, match=r"the peer says: enough \[internal\]"):
        session.receive(encode(Error(stream=0, code=Code.INTERNAL, message="enough")), 0.0)
    assert session.closed


def test_errors_have_types() -> None:
    error = peer_error(Error(stream=1, code=Code.UNKNOWN_IMAGE, message="none", retry=False))
    assert isinstance(error, UnknownImage)
    error = peer_error(Error(stream=1, code="from the future", message="?", retry=True))
    assert type(error) is PeerError
    assert (error.code, error.retry) == ("from the future", True)


def test_refusals_are_made_fit_for_the_wire() -> None:
    session = ready_sender()
    session.receive(encode(Open(stream=1, image="a")), 0.0)
    session.refuse(1, Code.INTERNAL, "two\nlines, a bell \a and " + "much " * 200)
    error = decode(session.transmit(0.0)[0])
    assert isinstance(error, Error)
    assert error.message.startswith("two lines, a bell ? and much")
    assert len(error.message) == 512


def test_what_this_side_must_not_do() -> None:
    sender = ready_sender(window=512)
    sender.receive(encode(Open(stream=1, image="a")), 0.0)
    for payload in (b"", bytes(513)):
        with pytest.raises(LocalProtocolError, match="where credit is 512"):
            sender.send(1, payload)
    with pytest.raises(LocalProtocolError, match="DATA cannot be sent: stream 2 is IDLE"):
        sender.send(2, b"x")
    with pytest.raises(LocalProtocolError, match="OPEN: image is not a relative path"):
        ready_receiver().open("/etc/passwd")
    with pytest.raises(LocalProtocolError, match="a window of 5 bytes"):
        ReceiverSession(now=0.0, terms=Terms(window=5))


def test_a_failed_request_leaves_no_trace() -> None:
    session = ready_receiver()
    with pytest.raises(LocalProtocolError):
        session.open("..")
    assert session.transmit(0.0) == []
    assert session.open("a") == 1


def test_what_is_held_names_its_model() -> None:
    receiver, sender = ReceiverSession(now=0.0), SenderSession(now=0.0)
    receiver.open("photo", start=5, prefix="0" * 16, model="0a1b2c3d")
    receiver.open("photo")
    _, first, second = (sender.receive(data, 0.0) for data in receiver.transmit(0.0))
    assert isinstance(first, Open)
    assert isinstance(second, Open)
    assert (first.model, second.model) == ("0a1b2c3d", None)


def test_a_refusal_names_the_model_that_is_missing() -> None:
    sender, receiver = ready_sender(), ready_receiver()
    stream = receiver.open("photo")
    sender.receive(receiver.transmit(0.0)[0], 0.0)
    sender.refuse(stream, Code.UNKNOWN_MODEL, "not yours", model="0a1b2c3d")
    event = receiver.receive(sender.transmit(0.0)[0], 0.0)
    assert isinstance(event, Error)
    error = peer_error(event)
    assert isinstance(error, PeerError)
    assert error.model == "0a1b2c3d"


def test_who_is_dismissed_is_told_and_need_not_ask_again() -> None:
    sender, receiver = ready_sender(), ready_receiver()
    sender.dismiss(Code.UNAUTHORIZED, "the token has expired")
    assert sender.closed
    sender.dismiss(Code.UNAUTHORIZED, "twice")
    [said] = sender.transmit(0.0)
    with pytest.raises(Unauthorized, match="the token has expired") as caught:
        receiver.receive(said, 0.0)
    assert caught.value.exit_code == 8
    assert receiver.closed


def test_only_so_many_models_fit_a_message() -> None:
    models = [f"{number:08x}" for number in range(20)]
    receiver = ReceiverSession(now=0.0, models=models)
    sender = SenderSession(now=0.0, models=models)
    for data in receiver.transmit(0.0):
        sender.receive(data, 0.0)
    for data in sender.transmit(0.0):
        receiver.receive(data, 0.0)
    assert sender.hello is not None
    assert receiver.welcome is not None
    assert sender.hello.models == receiver.welcome.models == tuple(models[:16])
