"""nginx before a folder, on a port of its own."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from browser import do_without

_CONFIGURATION = """\
daemon off;
worker_processes 1;
{user}
pid {home}/nginx.pid;
error_log stderr error;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    {temporary}
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        {server}
    }}
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx() -> str:
    """Return where nginx is; skip the test if it is nowhere, but in CI fail."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        do_without("no nginx here: install Debian's nginx-light")
    return found


@contextmanager
def serving_files(folder: Path, *, published: bool = True, connections: int = 512) -> Iterator[str]:
    """Serve a folder, with its own ``nginx.conf`` if it was published; yield the URL."""
    program = nginx()
    with TemporaryDirectory() as home, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(connections)
        port = listening.getsockname()[1]
        configuration = Path(home) / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                home=home,
                # Its workers could not read a folder of root's otherwise.
                user="user root;" if os.geteuid() == 0 else "",
                port=port,
                folder=folder,
                connections=connections,
                temporary="".join(f"{name}_temp_path {home}/{name};" for name in _TEMPORARY),
                server=f"include {folder}/nginx.conf;" if published else "",
            )
        )
        # The port is bound here, and handed down as nginx does to its successor at an upgrade.
        process = subprocess.Popen(
            [program, "-e", "stderr", "-p", home, "-c", configuration],
            env={**os.environ, "NGINX": f"{listening.fileno()};"},
            pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        listening.close()
        try:
            yield f"http://127.0.0.1:{port}/"
            assert process.poll() is None, "nginx has ended"
        finally:
            process.terminate()
            _, said = process.communicate(timeout=60)
            serious = [line for line in said.splitlines() if re.search(r"\[(emerg|alert)\]", line)]
        assert not serious


class Answer(NamedTuple):
    """What a server has answered; names of headers are in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes


def asked(url: str, path: str, fields: Mapping[str, str] | None = None) -> Answer:
    """Return the answer to one GET request."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    try:
        connection.request("GET", parts.path + quote(path), headers=dict(fields or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read())
    finally:
        connection.close()
