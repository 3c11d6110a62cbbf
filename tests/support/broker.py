"""Debian's mosquitto, on any free port, for tests of MQTT; they are skipped where it is missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
ATTEMPTS = 5
"""Ports that are tried: another program may take one before the broker does."""


@contextmanager
def broker(home: Path, *lines: str) -> Iterator[int]:
    """Run a broker that keeps nothing on disk, and yield its port.

    ``lines`` are of its configuration; without them, anybody may do anything.
    """
    pytest.importorskip("aiomqtt", reason="aiomqtt is not installed: the extra mqtt")
    if MOSQUITTO is None:
        missing = "mosquitto is not installed: apt-get install mosquitto"
        assert os.environ.get("CI") != "true", missing
        pytest.skip(missing)
    for _ in range(ATTEMPTS):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        path = home / "mosquitto.conf"
        root = ["user root"] if os.geteuid() == 0 else []
        given = lines or ("allow_anonymous true",)
        listener = f"listener {port} 127.0.0.1"
        path.write_text("\n".join((*root, listener, "persistence false", *given, "")))
        with subprocess.Popen(
            [MOSQUITTO, "-c", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                if any(line.endswith(" running\n") for line in process.stdout):
                    yield port
                    return
            finally:
                process.kill()
    raise AssertionError("no broker could be started")
