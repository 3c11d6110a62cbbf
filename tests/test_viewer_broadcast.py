"""The viewer's page with a broadcast that loses packets: a relay, a browser and the model."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from test_client_packet_relay import Radio, radio
from viewer_page import SIDE, has, number, screenshot, visit
from viewing import scene, streamed

from diffc_client.web.packets import PacketRelay
from diffc_stream.diffusion.collection import Collection
from diffc_stream.packets import Broadcast
from diffc_stream.reception import Reception
from diffc_viewer import Assets, Site

__all__ = ["radio"]
pytestmark = pytest.mark.asyncio(loop_scope="session")
LOST = (9, 14, 15)


async def test_a_broadcast_that_loses_packets(browser: Browser, radio: Radio) -> None:
    models = Collection.at_hand()
    packets = list(Broadcast(streamed(scene(SIDE, 1), 1.5), size=64, station="DL0ABC <b>"))
    heard = [packet for number, packet in enumerate(packets) if number not in LOST]
    expected = Reception(models)
    async with (
        PacketRelay("-", Site(Assets(models.files))) as relay,
        visit(browser, relay.url) as page,
    ):
        await expect(page.locator("#status")).to_have_text("Connected")
        await expect(page.locator("#waiting")).to_be_visible()
        for packet in heard:
            radio(packet)
            expected.take(packet)
        told = expected.render()
        assert expected.progress.missing, "what is lost is not told by repairs"
        await has(page, "#canvas", "data-bytes", str(told.bytes))
        assert abs(await number(page, "#canvas", "data-psnr") - told.predicted_psnr) < 0.02
        await has(page, "#stage", "data-missing", str(expected.progress.missing))
        await expect(page.locator("#caption")).to_contain_text("dB")
        await expect(page.locator("#title")).to_contain_text("DL0ABC <b>")
        facts = page.locator("#facts")
        await expect(facts).to_contain_text(f"{expected.progress.packets}, and ")
        await expect(facts).to_contain_text(f"{expected.progress.missing} of ")
        await expect(page.locator(".timeline")).to_be_hidden()
        await screenshot(page, "broadcast")
        for packet in packets:
            radio(packet)
            expected.take(packet)
        await has(page, "#stage", "data-state", "complete")
        await has(page, "#canvas", "data-bytes", str(expected.render().bytes))


async def test_a_relay_that_comes_back(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    for place, packet in enumerate(Broadcast(streamed(scene(SIDE, 1), 0.5), size=200)):
        (folder / f"{place}.packet").write_bytes(packet)
    site = Site(Assets(Collection.at_hand().files))
    async with PacketRelay(str(folder), site) as relay:
        port = relay.port
        async with visit(browser, relay.url, complaints=False) as page:
            await has(page, "#stage", "data-state", "complete")
            await relay.__aexit__()
            await expect(page.locator("#status")).to_have_text("Sender gone, trying again")
            async with PacketRelay(str(folder), site, port=port):
                await expect(page.locator("#status")).to_have_text("Connected")
                await has(page, "#stage", "data-state", "complete")
