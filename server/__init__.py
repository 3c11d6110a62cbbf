"""The sender daemon of diffc-stream: serves a folder of pictures, see ``diffc-server --help``."""

from .cache import CachingOpener
from .catalogue import Catalogue
from .daemon import SenderDaemon
from .dialling import Dialler
from .encoding import FileOpener, Opener, Source
from .pipeline import Pipeline

__all__ = [
    "CachingOpener",
    "Catalogue",
    "Dialler",
    "FileOpener",
    "Opener",
    "Pipeline",
    "SenderDaemon",
    "Source",
]
