"""Addresses in messages and logs."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(?<=//)[^/?#]*@")


def without_login(url: str) -> str:
    """Return an address without the user and password before its host, fit for a message."""
    return _LOGIN.sub("...@", url)
