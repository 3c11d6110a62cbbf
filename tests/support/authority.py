"""Certificates of an authority that nobody but a test believes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import trustme

from diffc_stream.transport.tls import Certificate


@dataclass(frozen=True, slots=True)
class Issued:
    """Files with what a sender shows, and with what its receivers believe."""

    chain: Path
    ca: Path

    @property
    def certificate(self) -> Certificate:
        """What a daemon takes."""
        return Certificate(self.chain)


def issue(home: Path, *names: str) -> Issued:
    """Write a certificate and its key below ``home``; for this machine unless for ``names``."""
    made = _authority().issue_cert(*(names or ("localhost", "127.0.0.1")))
    issued = Issued(home / "chain.pem", home / "ca.pem")
    made.private_key_and_cert_chain_pem.write_to_path(issued.chain)
    _authority().cert_pem.write_to_path(issued.ca)
    return issued


@cache
def _authority() -> trustme.CA:
    return trustme.CA()
