"""The example in docs/mqtt.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from broker import broker

from diffc_stream.transport.mqtt import Broker, connected
from diffc_stream.transport.mqtt_topics import Item, Topics

DOCUMENT = Path(__file__).parent.parent / "docs" / "mqtt.md"


@pytest.mark.asyncio
async def test_a_stream_in_a_few_lines(tmp_path: Path) -> None:
    aiomqtt = pytest.importorskip("aiomqtt", reason="aiomqtt is not installed: the extra mqtt")
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(code.splitlines()) < 10
    names = {"aiomqtt": aiomqtt, "quote": quote}
    exec(code, names)
    data = bytes(range(250))
    item = Item(name="a b/c.jpg", time=0, size=250, sha256="0" * 64, piece=100)
    topics = Topics("cameras/gate")
    with broker(tmp_path) as port:
        async with connected(Broker.parse(f"mqtt://127.0.0.1:{port}/cameras/gate")) as client:
            for offset in reversed(item.offsets):
                piece = data[offset : offset + 100]
                await client.publish(topics.piece(item, offset), piece, 1, retain=True)
            assert await names["receive"](client, item.name) == data
