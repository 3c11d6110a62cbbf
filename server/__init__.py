"""The sender daemon of diffc-stream: serves a folder of pictures, see ``diffc-server --help``."""

from .catalogue import Catalogue
from .daemon import SenderDaemon
from .dialling import Dialler
from .encoding import FileOpener, Opener, Source
from .pipeline import Account, Pipeline
from .store import Store, open_store

__all__ = [
    "Account",
    "Catalogue",
    "Dialler",
    "FileOpener",
    "Opener",
    "Pipeline",
    "SenderDaemon",
    "Source",
    "Store",
    "open_store",
]
