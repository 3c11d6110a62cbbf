"""The models at hand: those that were released with this package, and those that were added.

A stream decodes only with the model that it was made with, and names it by its fingerprint.  Which
models there are is read from the headers of their files; weights are read when they are needed.
See docs/models.md.
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

None is removed: there are streams that need it.
"""

DEFAULT = RELEASED / "small-6c137b2c.safetensors"
"""What streams are made with unless told otherwise."""
MOST_FILES = 256
"""Of a folder, beyond which none is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model that has not been loaded."""

    path: Path
    description: Description
    """What its header says."""

    @classmethod
    def at(cls, path: Path) -> ModelFile:
        """Read the header of a model file.  Raises UnreadableModel."""
        return cls(path=path, description=read_description(path))

    @property
    def graph(self) -> Path | None:
        """Where its graph is, if it has one."""
        beside = graph.beside(self.path)
        return beside if beside.is_file() else None

    @property
    def engines(self) -> tuple[Engine, ...]:
        """What can run it here."""
        return engines(self.path)


class Collection(Mapping[str, "Model"]):
    """Models by fingerprint, in order of preference; looking one up loads it, once.

    ``collection.get(fingerprint)`` is None for a model that is not at hand; both it and
    ``collection[fingerprint]`` raise UnreadableModel for one whose file has become useless.
    Safe to use from several threads.
    """

    def __init__(
        self, files: Iterable[ModelFile], *, problems: Iterable[UnreadableModel] = ()
    ) -> None:
        """Collect ``files``; of two with one fingerprint the first counts."""
        self._files: dict[str, ModelFile] = {}
        for file in files:
            self._files.setdefault(file.description.fingerprint, file)
        self.problems = tuple(problems)
        """What is wrong with files that should have been models, and are left out."""
        self._loaded: dict[str, Model] = {}
        self._loading = threading.Lock()

    @classmethod
    def at_hand(cls, given: Path | None = None) -> Collection:
        """Return the model in the file ``given``, if any, and all that are at hand anyway.

        They come in this order: given, default, added by the user (see :func:`added`), released
        earlier.  Raises UnreadableModel for ``given`` and for the default; files among the added
        ones that are no models are left out.
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
        """The model to make streams with."""
        return self[next(iter(self))]

    def __getitem__(self, fingerprint: str) -> Model:
        file = self._files[fingerprint]
        with self._loading:
            if fingerprint not in self._loaded:
                self._loaded[fingerprint] = _load(file)
            return self._loaded[fingerprint]

    def __contains__(self, fingerprint: object) -> bool:
        return fingerprint in self._files  # without loading it, unlike what is inherited

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


@cache
def default_model() -> Model:
    """Return the model that streams are made with unless told otherwise."""
    return _load(ModelFile.at(DEFAULT))


def added() -> Path:
    """Return the folder of models that the user added; it need not exist.

    It is $DIFFC_MODELS, if that is set, or else ``diffc-stream/models`` below where programs keep
    their data: $XDG_DATA_HOME or ~/.local/share, on Windows %LOCALAPPDATA%.
    """
    if chosen := os.environ.get("DIFFC_MODELS"):
        return Path(chosen)
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME"
    home = os.environ.get(variable)
    return (Path(home) if home else Path.home() / ".local" / "share") / "diffc-stream" / "models"


def add(path: Path) -> ModelFile:
    """Copy a model file to :func:`added`, unless it is at hand already, and return where it is.

    The graph beside it comes along, also to where the model was added without.  Raises
    UnreadableModel, if need be only after reading all of it, or OSError.
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
    # Late, because it may bring torch, which knowing what there is can do without.
    from diffc_stream.diffusion.model import load_model

    model = load_model(file.path)
    if model.fingerprint != file.description.fingerprint:
        raise UnreadableModel(
            f"{file.path}: was the model {file.description.fingerprint} "
            f"and has become {model.fingerprint}"
        )
    return model
