"""Makes Markdown of docstrings, for the reference in the site: an extension of griffe."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?\.*([^`]+)`")
_EXAMPLE = re.compile(r"^>>>.*(?:\n(?!\s*$).*)*", re.MULTILINE)


def markdown(docstring: str) -> str:
    """Return a docstring as Markdown: roles are code, examples are blocks of it."""
    text = _ROLE.sub(lambda match: f"`{match[1].rpartition('.')[2]}`", docstring)
    text = _EXAMPLE.sub(lambda match: f"```pycon\n{match[0]}\n```", text)
    text = re.sub(r"``([^`\n]+)``", r"`\1`", text)
    return re.sub(r"::$", ":", text, flags=re.MULTILINE)


class Markdown(griffe.Extension):
    """Rewrites all docstrings when they are read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of ``obj``."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
