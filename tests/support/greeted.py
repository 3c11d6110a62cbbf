"""Sessions that have greeted each other already."""

from __future__ import annotations

from diffc_stream.session import Hello, ReceiverSession, SenderSession, Welcome, encode


def ready_sender(window: int = 8192) -> SenderSession:
    session = SenderSession(now=0.0)
    session.receive(encode(Hello(window=window, idle=60.0)), 0.0)
    session.transmit(0.0)
    return session


def ready_receiver(window: int = 8192) -> ReceiverSession:
    session = ReceiverSession(now=0.0)
    session.receive(encode(Welcome(window=window, idle=60.0, streams=4)), 0.0)
    session.transmit(0.0)
    return session
