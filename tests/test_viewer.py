"""The viewer as a browser gets it, from either daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from browser import Complaints, opened
from playwright.async_api import Browser
from serving import pictures, serving

from diffc_client.remote.address import Address
from diffc_client.web.app import View
from diffc_stream.diffusion.collection import Collection
from diffc_viewer import Assets, Site

EVALUATE = """async () => {
  const models = await (await fetch("/-/models.json")).json();
  const { fingerprint, weights } = models[0];
  const file = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
  const graph = await file(`/-/models/${fingerprint}.onnx`);
  const data = await file(`/-/models/${fingerprint}.safetensors`);
  const runtime = await import("/-/vendor/onnxruntime-web/ort.wasm.min.mjs");
  runtime.env.wasm.wasmPaths = "/-/vendor/onnxruntime-web/";
  runtime.env.wasm.numThreads = 2;
  const options = { externalData: [{ path: weights, data }] };
  const session = await runtime.InferenceSession.create(graph, options);
  const z = new runtime.Tensor("float32", new Float32Array(4 * 64 * 64), [1, 4, 64, 64]);
  const features = new runtime.Tensor("float32", new Float32Array(32), [1, 32]);
  const { v } = await session.run({ z, features });
  return [v.dims, v.data.every(Number.isFinite)];
}"""


def site() -> Site:
    return Site(Assets(Collection.at_hand().files))


@asynccontextmanager
async def addresses(home: Path) -> AsyncIterator[list[str]]:
    """Where the page is: at a sender, and at a receiver's ``view``."""
    async with (
        serving(pictures(home), site=site()) as daemon,
        View(Address.parse(daemon.url), site()) as view,
    ):
        yield [daemon.url.replace("ws:", "http:"), view.url]


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_is_isolated_and_nothing_is_missing(
    browser: Browser, tmp_path: Path
) -> None:
    async with addresses(tmp_path) as urls:
        for url in urls:
            page, complaints = await opened(browser), Complaints()
            complaints.listen(page)
            await page.goto(url, wait_until="networkidle")
            assert await page.evaluate("crossOriginIsolated") is True
            assert await page.evaluate("navigator.hardwareConcurrency") > 0
            assert complaints.heard == []
            await page.context.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_the_model_runs_in_threads(browser: Browser, tmp_path: Path) -> None:
    async with addresses(tmp_path) as urls:
        page, complaints = await opened(browser), Complaints()
        await page.goto(urls[0])
        complaints.listen(page)
        assert await page.evaluate(EVALUATE) == [[1, 3, 64, 64], True]
        assert complaints.heard == []
        await page.context.close()
