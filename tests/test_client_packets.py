"""Broadcasts for programs."""

from pathlib import Path

import numpy as np
from sources import LARGE, collection, long_stream, model

from diffc_client import PacketReceiver, receive_packets, send_packets
from diffc_stream.packets import Broadcast
from diffc_stream.transport.carriers import opened_to

MODELS = collection(model(LARGE))


def test_a_broadcast_is_pictures(tmp_path: Path) -> None:
    where = str(tmp_path / "packets")
    assert send_packets(long_stream(), where, budget=1000, station="DL0ABC") == 6
    receiver = PacketReceiver(MODELS)
    assert receiver.refinement() is None
    [last] = list(receive_packets(where, receiver))
    assert last.complete
    assert last.bytes == len(receiver.stream)
    shown = receiver.refinement()
    assert shown is not None
    assert np.array_equal(shown.image, last.image)
    assert not receiver.take(b"noise")
    assert (receiver.progress.damaged, receiver.progress.station) == (1, "DL0ABC")


def test_what_is_lost_is_missing_from_the_last_picture(tmp_path: Path) -> None:
    where = str(tmp_path / "packets")
    with opened_to(where) as sender:
        for number, packet in enumerate(Broadcast(long_stream(), size=200, budget=2000)):
            if number != 7:
                sender.send(packet)
    [last] = list(receive_packets(where, PacketReceiver(MODELS)))
    assert not last.complete
    assert last.predicted_psnr is not None
