"""Two sessions: catalogues in pages, and catalogues that go on."""

from __future__ import annotations

import pytest
from greeted import ready_sender
from pair import Pair, entry

from diffc_stream.errors import LocalProtocolError, RemoteProtocolError
from diffc_stream.session import (
    Capability,
    Catalogue,
    Data,
    List,
    Message,
    ReceiverSession,
    SenderSession,
    Welcome,
    decode,
    encode,
)


def test_a_catalogue_of_many_pages() -> None:
    pair = Pair({f"photo {i:03}": b"" for i in range(250)})
    pair.receiver.list()
    with pytest.raises(LocalProtocolError, match="has not been answered"):
        pair.receiver.list()
    pair.run()
    assert pair.names() == sorted(pair.streams)
    assert sum(isinstance(event, Catalogue) for event in pair.events) == 5
    pair.receiver.list()
    pair.run()
    assert len(pair.names()) == 500


def following(*capabilities: str) -> tuple[SenderSession, ReceiverSession]:
    """Return two ends of which one follows the other's catalogue, as far as that one can."""
    sender = SenderSession(now=0.0, capabilities=capabilities)
    receiver = ReceiverSession(now=0.0)
    receiver.list(follow=True, mark="0" * 16)
    for data in receiver.transmit(0.0):
        event = sender.receive(data, 0.0)
    assert event == List(follow=True, mark="0" * 16)
    return sender, receiver


def heard(sender: SenderSession, receiver: ReceiverSession) -> list[Message | None]:
    events = []
    while messages := sender.transmit(0.0):
        events += [receiver.receive(data, 0.0) for data in messages]
    return events


def test_a_catalogue_that_goes_on() -> None:
    sender, receiver = following(Capability.FOLLOW)
    sender.catalogue([entry("a")])
    assert [type(event) for event in heard(sender, receiver)] == [Welcome, Catalogue]
    assert receiver.following
    news = Catalogue(images=(entry("b"),), last=True, changes=True, removed=("a",), mark="1" * 16)
    for _ in range(2):
        sender.announce([news])
        assert heard(sender, receiver) == [news]
    # It is asked for once.
    with pytest.raises(LocalProtocolError, match="has not been answered"):
        receiver.list()
    with pytest.raises(RemoteProtocolError, match="a second LIST"):
        sender.receive(encode(List()), 0.0)


def test_a_sender_that_cannot_go_on_says_so() -> None:
    sender, receiver = following()
    sender.catalogue([entry("a")])
    heard(sender, receiver)
    assert not receiver.following
    with pytest.raises(LocalProtocolError, match="without a LIST"):
        sender.announce([Catalogue(images=(), last=True, changes=True)])
    receiver.list()
    with pytest.raises(RemoteProtocolError, match="without a LIST"):
        receiver.receive(encode(Catalogue(images=(), last=True)), 0.0)
        receiver.receive(encode(Catalogue(images=(), last=True)), 0.0)


def test_streams_need_not_wait_for_all_of_a_catalogue() -> None:
    sender, receiver = following(Capability.FOLLOW)
    receiver.open("a")
    for data in receiver.transmit(0.0):
        sender.receive(data, 0.0)
    sender.catalogue(entry(f"{i}") for i in range(120))
    for pages, sizes in enumerate([(50, 1), (50, 1), (20, 1)]):
        assert sender.pages == 3 - pages
        sender.send(1, b"x")
        messages = [receiver.receive(data, 0.0) for data in sender.transmit(0.0)]
        events = [event for event in messages if not isinstance(event, Welcome)]
        assert [
            len(event.images if isinstance(event, Catalogue) else event.payload)
            for event in events
            if isinstance(event, Catalogue | Data)
        ] == [sizes[1], sizes[0]]
    assert sender.pages == 0


def test_pages_that_are_left_when_a_sender_gives_up_are_not_sent() -> None:
    sender, _receiver = following(Capability.FOLLOW)
    sender.catalogue(entry(f"{i}") for i in range(120))
    with pytest.raises(RemoteProtocolError):
        sender.receive(b"", 0.0)
    assert not any(isinstance(decode(data), Catalogue) for data in sender.transmit(0.0))


def test_an_empty_catalogue() -> None:
    pair = Pair()
    pair.receiver.list()
    pair.run()
    assert [e.last for e in pair.events if isinstance(e, Catalogue)] == [True]


def test_only_one_catalogue_at_a_time() -> None:
    session = ready_sender()
    session.receive(encode(List()), 0.0)
    with pytest.raises(RemoteProtocolError, match="a second LIST"):
        session.receive(encode(List()), 0.0)
