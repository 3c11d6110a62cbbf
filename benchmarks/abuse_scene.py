"""Where the abuse takes place: folders, tokens, a certificate and daemons."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from diffc_stream.picture import png_bytes
from diffc_stream.transport.tokens import digest_of

from .abuse_adversary import MIRROR, SENDER
from .abuse_attack import Prey
from .abuse_files import MARK
from .abuse_honest import appear, drawn
from .abuse_wire import Front
from .certificate import certify
from .link_transfers import stream
from .process import Process, running

READY, LENGTH = 3000, 2000
"""Ready streams in the sender's folder, and bytes of each."""
MOST_PIXELS = "16000000"
"""Of a picture that the mirror renders."""
LARGE = 20_000_000
"""Bytes of one more."""
PHOTOS, SIDE = 8, 320
"""Pictures that are encoded when they are asked for, and pixels of their sides."""
OWN = ("mine.dfc", "mine2.png", "kept.txt", "sub/other.png", "sub/deep.dfc", "linked/far.dfc")
"""The user's own files in a mirror's folder; the last is behind a link of the user's."""
BUDGET = """\
connections = 64
streams = 256
bytes_per_second = 200_000
encoder_seconds_per_hour = 120
requests_per_second = 30
"""
"""What a token of an adversary may have, as a careful operator would have it."""


@dataclass(frozen=True, slots=True)
class Daemons:
    """All that runs."""

    sender: Process
    mirror: Process
    camera: Process


@dataclass(slots=True)
class Scene:
    """Folders, and who may come in."""

    home: Path
    ready: tuple[str, ...] = ()
    photos: tuple[str, ...] = ()
    tokens: dict[str, str] = field(default_factory=dict)
    _own: dict[Path, str] = field(default_factory=dict)
    """Hashes of the user's files."""

    @classmethod
    def make(
        cls, home: Path, *, ready: int = READY, photos: int = PHOTOS, large: int = LARGE
    ) -> Scene:
        """Make everything below ``home``, which is there and empty.  Raises OSError."""
        scene = cls(home)
        for folder in (scene.served, scene.camera, scene.secret, scene.mirrored):
            folder.mkdir()
        scene.ready = tuple(f"{n // 500:02}/{n:05}.dfc" for n in range(ready))
        data = stream(LENGTH, 0)
        for name in scene.ready:
            path = scene.served / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        (scene.served / "large.dfc").write_bytes(data + os.urandom(large))
        scene.photos = tuple(f"photo{number}.png" for number in range(photos))
        for number, name in enumerate(scene.photos):
            (scene.served / name).write_bytes(png_bytes(drawn(number, SIDE)))
        for name in ("key.dfc", "key.png"):
            (scene.secret / name).write_bytes(data[:200] + MARK)
        names = ["honest", "camera", *dict.fromkeys([*SENDER, *MIRROR])]
        scene.tokens = {name: secrets.token_urlsafe(32) for name in names}
        scene._write_tokens()
        scene._put_own()
        certify(home)
        return scene

    @property
    def served(self) -> Path:
        """The sender's folder."""
        return self.home / "served"

    @property
    def mirrored(self) -> Path:
        """The mirror's, with a folder for everybody who sends."""
        return self.home / "mirrored"

    @property
    def camera(self) -> Path:
        """The folder of the camera."""
        return self.home / "camera"

    @property
    def secret(self) -> Path:
        """A folder that is nobody's business."""
        return self.home / "secret"

    @property
    def ca(self) -> Path:
        """Who vouches for the daemons."""
        return self.home / "cert.pem"

    def log(self, name: str) -> Path:
        """Return where a daemon's log is."""
        return self.home / f"{name}.log"

    def front(self, port: int, *, pushed: bool = False) -> Front:
        """Return what is known of a daemon outside."""
        return Front(port=port, ca=str(self.ca), tokens=self.tokens, pushed=pushed)

    def prey(self, model: str) -> Prey:
        """Return what adversaries know."""
        return Prey(
            model=model,
            ready=self.ready,
            large="large.dfc",
            photos=self.photos,
            folder=str(self.served),
            secret=str(self.secret),
            own=OWN,
        )

    def touched(self) -> list[str]:
        """Return what of the user's is not as it was, and what there is where nothing should be."""
        changed = [path for path, digest in self._own.items() if _digest(path) != digest]
        known = {"served", "camera", "secret", "mirrored", "far", "tokens.toml", "cache"}
        known |= {
            "cert.pem",
            "key.pem",
            *(f"{name}.log" for name in ("sender", "mirror", "camera")),
        }
        strange = [path for path in self.home.iterdir() if path.name not in known]
        strange += [p for p in (self.home / "far").iterdir() if p not in self._own]
        return [str(path.relative_to(self.home)) for path in (*changed, *strange)]

    def grown(self) -> dict[str, int]:
        """Return how many folders and files the mirror has by now, and their bytes of disk."""
        folders = files = size = 0
        for top, inner, outer in os.walk(self.mirrored):
            folders += len(inner)
            files += len(outer)
            for name in (*inner, *outer):
                with suppress(OSError):  # it has gone meanwhile
                    size += 512 * Path(top, name).lstat().st_blocks
        return {"folders": folders, "files": files, "bytes of disk": size}

    @asynccontextmanager
    async def daemons(self) -> AsyncIterator[Daemons]:
        """Run a sender, a mirror that listens, and a camera that dials it."""
        safe = ("--tls-cert", str(self.ca), "--tls-key", str(self.home / "key.pem"))
        tokens = ("--tokens", str(self.home / "tokens.toml"))
        token = self.home / "camera" / ".token"
        token.write_text(self.tokens["camera"])
        appear(self.camera / "first.png", 0)
        async with AsyncExitStack() as stack:
            sender = await stack.enter_async_context(
                running(
                    *("diffc_server", str(self.served), "--port", "0", "--json", "--drain", "1"),
                    *(*safe, *tokens, "--peer-connections", "1000"),
                    log=self.log("sender"),
                )
            )
            mirror = await stack.enter_async_context(
                running(
                    *("diffc_client", "mirror", "--listen", "0", "--json", "--png", "--delete"),
                    *(
                        "--most",
                        "64M",
                        "--max-pixels",
                        MOST_PIXELS,
                        *safe,
                        *tokens,
                        str(self.mirrored),
                    ),
                    log=self.log("mirror"),
                )
            )
            camera = await stack.enter_async_context(
                running(
                    *("diffc_server", str(self.camera), "--no-listen", "--drain", "1"),
                    *("--dial", f"wss://localhost:{mirror.port}", "--dial-token", str(token)),
                    *("--dial-ca", str(self.ca)),
                    log=self.log("camera"),
                    told=False,
                )
            )
            yield Daemons(sender, mirror, camera)

    def _write_tokens(self) -> None:
        path = self.home / "tokens.toml"
        path.touch(0o600)
        with path.open("w") as file:
            for name, token in self.tokens.items():
                budget = "" if name in ("honest", "camera") else BUDGET
                lines = ("[[token]]", f'name = "{name}"', f'sha256 = "{digest_of(token)}"', budget)
                file.write("\n".join(lines) + "\n")

    def _put_own(self) -> None:
        """Put files of the user's where hostile senders will be mirrored."""
        far = self.home / "far"
        far.mkdir()
        for sender in MIRROR:
            folder = self.mirrored / sender
            (folder / "sub").mkdir(parents=True)
            (folder / "linked").symlink_to(far)
            for name in OWN:
                path = folder / name
                path.write_bytes(f"the user's own {sender}/{name}\n".encode() * 9)
                self._own[path] = ""
        self._own[far / "far.dfc"] = ""
        for path in self._own:
            self._own[path] = _digest(path)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "gone"
