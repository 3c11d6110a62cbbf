"""What the README of the npm package prints, run as it is printed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import sources
from fakes import FINGERPRINT, FakeOpener
from PIL import Image
from serving import serving

from diffc_stream.codec import Encoder
from diffc_stream.diffusion.collection import Collection

PACKAGE = Path(__file__).parent.parent / "client" / "viewer" / "js"
README = (PACKAGE / "README.md").read_text()
BLOCKS = re.findall(r"```js\n(.*?)```", README, re.DOTALL)
NODE = shutil.which("node")
READY = NODE is not None and (PACKAGE / "node_modules").is_dir()
MODELS = PACKAGE.parents[2] / "diffc_stream" / "models"

needs_node = pytest.mark.skipif(
    not (READY or os.environ.get("CI")), reason="npm ci in client/viewer/js has not been run"
)


def block(first: str) -> str:
    """Return the one block that contains these words."""
    [found] = [str(text) for text in BLOCKS if first in text]
    return found


async def printed(home: Path, code: str) -> list[str]:
    """Return the lines that a module prints, in a folder where the package is installed."""
    modules = home / "node_modules"
    if not modules.exists():
        modules.mkdir()
        (modules / "diffc-client").symlink_to(PACKAGE)
        (modules / "onnxruntime-web").symlink_to(PACKAGE / "node_modules" / "onnxruntime-web")
    (home / "example.mjs").write_text(code)
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        *(NODE, "--experimental-websocket", "example.mjs"),
        cwd=home,
        env=os.environ | {"NODE_NO_WARNINGS": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        out, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return out.decode().splitlines()


@needs_node
@pytest.mark.asyncio
async def test_pictures_and_errors_as_printed(tmp_path: Path) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "coffee.jpg").write_bytes(b"coffee.jpg")
    code, failing = block("sender.catalogue()"), block("instanceof UnknownImage")
    imports, trying = failing.split("\n\n", 1)
    followed = block("sender.follow()").replace("\n}", "\n  break;\n}")
    code = code.replace("sender.close();", f"{followed}\n{trying}\nsender.close();")
    async with serving(folder, FakeOpener(length=5000)) as daemon:
        code = code.replace("8765", str(daemon.port)).replace("6c137b2c", FINGERPRINT)
        lines = await printed(tmp_path, f"{imports}\n{code}")
    assert lines == [
        "coffee.jpg 10",
        "complete 5000",
        "[ 'coffee.jpg' ] true 0",
        "there is no such picture",
    ]


@needs_node
@pytest.mark.asyncio
async def test_a_picture_without_a_worker_as_printed(tmp_path: Path) -> None:
    picture = np.tile(sources.picture(), (2, 2, 1))[:16, :24]
    Image.fromarray(picture).save(tmp_path / "coffee.png")
    model = Collection.at_hand().preferred
    (tmp_path / "coffee.dfc").write_bytes(b"".join(Encoder(picture, model, target_bytes=60)))
    for suffix in ("onnx", "safetensors"):
        shutil.copy(MODELS / f"small-6c137b2c.{suffix}", tmp_path)
    size, last = await printed(tmp_path, block("loadDenoiser"))
    assert re.fullmatch(r"\{ height: 16, width: 24 \} \d\d\.\d+", size)
    assert last == f"24 16 {4 * 16 * 24}"


@needs_node
@pytest.mark.asyncio
async def test_every_error_that_is_named_is_exported(tmp_path: Path) -> None:
    code = """
        import * as all from "diffc-client";
        const { DiffcError } = all;
        for (const [name, made] of Object.entries(all)) {
          if (made === DiffcError || made.prototype instanceof DiffcError) console.log(name);
        }
    """
    exported = set(await printed(tmp_path, code))
    table = README[README.index("All errors are classes") :]
    assert exported == set(re.findall(r"`([A-Z]\w+)`", table)) - {"WebSocket"}


@needs_node
@pytest.mark.asyncio
async def test_without_a_websocket_it_is_said_what_to_do(tmp_path: Path) -> None:
    code = """
        import { connect, LocalProtocolError } from "diffc-client";
        delete globalThis.WebSocket;
        try {
          connect("ws://localhost:1");
        } catch (error) {
          console.log(error instanceof LocalProtocolError, error.message);
        }
    """
    [said] = await printed(tmp_path, code)
    assert said.startswith("true there is no WebSocket here: pass one")
