"""The sender daemon of diffc-stream: serves a folder of pictures, see ``diffc-server --help``.

What is exported here is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffc_stream.exports import lazily

if TYPE_CHECKING:
    from .catalogue import Catalogue as Catalogue
    from .daemon import SenderDaemon as SenderDaemon
    from .dialling import Dialler as Dialler
    from .encoding import FileOpener as FileOpener
    from .encoding import Opener as Opener
    from .encoding import Source as Source
    from .pipeline import Account as Account
    from .pipeline import Pipeline as Pipeline
    from .store import Store as Store
    from .store import open_store as open_store

_HOMES = {
    "Account": "pipeline",
    "Catalogue": "catalogue",
    "Dialler": "dialling",
    "FileOpener": "encoding",
    "Opener": "encoding",
    "Pipeline": "pipeline",
    "SenderDaemon": "daemon",
    "Source": "encoding",
    "Store": "store",
    "open_store": "store",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # or any name at all would pass a type checker
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
