"""The sender daemon of diffc-stream: serves a folder of pictures, see ``diffc-server --help``.

What is exported here is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffc_stream.exports import lazily

if TYPE_CHECKING:
    from .cache.store import Store as Store
    from .cache.store import open_store as open_store
    from .catalogue.catalogue import Catalogue as Catalogue
    from .daemon import SenderDaemon as SenderDaemon
    from .encoding.pipeline import Account as Account
    from .encoding.pipeline import Pipeline as Pipeline
    from .encoding.source import FileOpener as FileOpener
    from .encoding.source import Opener as Opener
    from .encoding.source import Source as Source
    from .websocket.dialler import Dialler as Dialler

_HOMES = {
    "Account": "encoding.pipeline",
    "Catalogue": "catalogue.catalogue",
    "Dialler": "websocket.dialler",
    "FileOpener": "encoding.source",
    "Opener": "encoding.source",
    "Pipeline": "encoding.pipeline",
    "SenderDaemon": "daemon",
    "Source": "encoding.source",
    "Store": "cache.store",
    "open_store": "cache.store",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # or any name at all would pass a type checker
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
