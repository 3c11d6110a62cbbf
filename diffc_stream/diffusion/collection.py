"""The models at hand: those released with this package, and those that the user added.

A stream can be decoded only with the model that it was made with, and names that model by its
fingerprint.  To list models, only the headers of their files are read; weights are loaded when they
are needed.  See docs/models.md.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream.diffusion import graph
from diffc_stream.diffusion.engine import Engine, engines
from diffc_stream.diffusion.files import contents
from diffc_stream.diffusion.weights import MOST_BYTES, SUFFIX, Description, read_description
from diffc_stream.errors import UnreadableModel
from diffc_stream.replacement import replacing

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model

RELEASED = Path(__file__).parent.parent / "models"
"""Every model ever released, as NAME-FINGERPRINT.safetensors, with its graph and a card beside it.

Models are never removed, because there are streams that need them.
"""

DEFAULT = RELEASED / "small-6c137b2c.safetensors"
"""The model that new streams are made with by default."""
MOST_FILES = 256
"""How many model files of a folder are looked at, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model file whose weights have not been loaded."""

    path: Path
    description: Description
    """What the file's header says."""

    @classmethod
    def at(cls, path: Path) -> ModelFile:
        """Read the header of a model file.  Raises UnreadableModel."""
        return cls(path=path, description=read_description(path))

    @property
    def graph(self) -> Path | None:
        """Path of the graph beside it, if there is one."""
        beside = graph.beside(self.path)
        return beside if beside.is_file() else None

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines that can run it here."""
        return engines(self.path)


class Collection(Mapping[str, "Model"]):
    """Models by fingerprint, in order of preference.  A model is loaded when first looked up.

    ``collection.get(fingerprint)`` is None for a model that is not at hand.  Both that and
    ``collection[fingerprint]`` raise UnreadableModel if the model's file has become unusable.
    Safe to use from several threads.
    """

    def __init__(
        self, files: Iterable[ModelFile], *, problems: Iterable[UnreadableModel] = ()
    ) -> None:
        """Collect ``files``; if two have the same fingerprint, the first counts."""
        self._files: dict[str, ModelFile] = {}
        for file in files:
            self._files.setdefault(file.description.fingerprint, file)
        self.problems = tuple(problems)
        """Why files that should have been models were left out."""
        self._loaded: dict[str, Model] = {}
        self._loading = threading.Lock()

    @classmethod
    def at_hand(cls, given: Path | None = None) -> Collection:
        """Return all models at hand, and the one in the file ``given``, if any.

        Their order is: given, default, added by the user (see :func:`added`), released earlier.
        Raises UnreadableModel for ``given`` and for the default; other files that are not models
        are left out, see :attr:`problems`.
        """
        files = [ModelFile.at(path) for path in (given, DEFAULT) if path is not None]
        problems: list[UnreadableModel] = []
        for folder in (added(), RELEASED):
            found = sorted(folder.glob(f"*{SUFFIX}"))
            if len(found) > MOST_FILES:
                problems.append(
                    UnreadableModel(f"{folder}: of {len(found)} files {MOST_FILES} are looked at")
                )
            for path in found[:MOST_FILES]:
                try:
                    files.append(ModelFile.at(path))
                except UnreadableModel as error:
                    problems.append(error)
        return cls(files, problems=problems)

    @property
    def files(self) -> tuple[ModelFile, ...]:
        """The files, in order of preference."""
        return tuple(self._files.values())

    @property
    def preferred(self) -> Model:
        """The model to make streams with: the first one."""
        return self[next(iter(self))]

    def __getitem__(self, fingerprint: str) -> Model:
        file = self._files[fingerprint]
        with self._loading:
            if fingerprint not in self._loaded:
                self._loaded[fingerprint] = _load(file)
            return self._loaded[fingerprint]

    def __contains__(self, fingerprint: object) -> bool:
        return fingerprint in self._files  # The inherited method would load the model.

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


@cache
def default_model() -> Model:
    """Return the model that streams are made with by default."""
    return _load(ModelFile.at(DEFAULT))


def added() -> Path:
    """Return the folder for models that the user adds; it need not exist.

    It is $DIFFC_MODELS, if that is set, or else ``diffc-stream/models`` in the user's folder for
    the data of programs: $XDG_DATA_HOME or ~/.local/share, on Windows %LOCALAPPDATA%.
    """
    if chosen := os.environ.get("DIFFC_MODELS"):
        return Path(chosen)
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME"
    home = os.environ.get(variable)
    return (Path(home) if home else Path.home() / ".local" / "share") / "diffc-stream" / "models"


def add(path: Path) -> ModelFile:
    """Copy a model file to :func:`added`, unless that model is at hand, and return its copy.

    The graph beside the file is copied too, also if the model was added without it earlier.  Reads
    the whole file, and raises UnreadableModel if it is damaged; raises OSError if copying fails.
    """
    file = ModelFile.at(path)
    _load(file)
    computed = graph.read_graph(path, file.description) if file.graph else None
    copies = (
        known
        for known in Collection.at_hand().files
        if known.description.fingerprint == file.description.fingerprint
    )
    copy = next(copies, None)
    if copy is None:
        target = added() / file.description.file_name
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as opened:
            opened.write(contents(path, MOST_BYTES))
        copy = ModelFile.at(target)
    if computed is not None and copy.graph is None:
        with replacing(graph.beside(copy.path)) as opened:
            opened.write(computed)
    return copy


def _load(file: ModelFile) -> Model:
    # Imported here because it may import torch, which is not needed to list models.
    from diffc_stream.diffusion.model import load_model

    model = load_model(file.path)
    if model.fingerprint != file.description.fingerprint:
        raise UnreadableModel(
            f"{file.path}: was the model {file.description.fingerprint} "
            f"and has become {model.fingerprint}"
        )
    return model
