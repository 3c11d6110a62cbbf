"""A certificate for a daemon that a benchmark starts."""

from __future__ import annotations

import subprocess
from pathlib import Path


def certify(home: Path) -> None:
    """Write cert.pem and key.pem, of this machine's own, into ``home``.  Raises OSError."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]
    command += ["-nodes", "-days", "30", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", "key.pem", "-out", "cert.pem"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"openssl makes no certificate: {done.stderr.strip()[-200:]}")
