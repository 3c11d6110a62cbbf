"""Who may import whom: arrows point downwards only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

BELOW: dict[str, set[str]] = {
    "errors": set(),
    "exports": set(),
    "metrics": set(),
    "allocation": set(),
    "threads": set(),
    "work": set(),
    "console": set(),
    "budget": set(),
    "ledger": {"budget", "replacement"},
    "order": set(),
    "succession": {"container"},
    "flags": {"budget", "container", "order", "succession"},
    "opening": set(),
    "replacement": set(),
    "destination": {"errors", "replacement"},
    "formats": {"container", "destination", "errors", "imaging", "picture"},
    "interruption": set(),
    "imaging": {"container"},
    "picture": {"container", "destination", "errors", "imaging"},
    "pillow": {"codec", "container", "diffusion", "errors", "imaging", "picture"},
    "diffusion": {"errors", "replacement", "threads", "work"},
    "channel": {"errors", "work"},
    "container": {"errors"},
    "session": {"container", "errors"},
    "packets": {"container", "errors"},
    "codec": {"channel", "container", "diffusion", "exports", "metrics", "errors"},
    "clips": {
        *("codec", "container", "destination", "diffusion", "errors", "exports"),
        *("metrics", "picture"),
    },
    "references": {"codec", "container", "diffusion", "errors", "picture"},
    "reception": {"codec", "diffusion", "errors", "packets"},
    "emission": {"packets"},
    "bulk": {
        *("codec", "container", "diffusion", "errors", "imaging", "picture", "replacement"),
        *("ledger", "opening", "order", "references", "session", "succession", "threads"),
    },
    "publishing": {"bulk", "codec", "diffusion", "errors", "replacement"},
    "cli": {
        "clips",
        *("allocation", "bulk", "codec", "container", "diffusion", "flags", "publishing"),
        *("budget", "emission", "ledger", "threads", "work", "packets", "reception", "references"),
        *(
            "console",
            "destination",
            "formats",
            "picture",
            "metrics",
            "errors",
            "transport",
        ),  # see SERVING
    },
    "start": {"cli", "interruption"},
    "__main__": {"start"},
    "transport": {
        *("destination", "errors", "flags", "interruption", "opening", "replacement", "session"),
    },
    "viewer": {"diffusion", "opening"},
    "server": {
        *("allocation", "session", "container", "codec", "diffusion", "opening", "transport"),
        *("exports", "flags", "imaging", "interruption", "threads", "work"),
        *("budget", "ledger", "references", "succession"),
        *("console", "destination", "picture", "replacement", "metrics", "errors"),
    },
    "client": {
        "clips",
        *("allocation", "session", "container", "codec", "diffusion", "opening", "transport"),
        *("emission", "exports", "flags", "interruption", "metrics", "packets", "reception"),
        "references",
        *("budget", "ledger", "order", "threads"),
        *("console", "destination", "formats", "picture", "publishing", "replacement", "errors"),
    },
    "benchmarks": {
        "clips",
        *("channel", "codec", "container", "diffusion", "flags", "packets", "session", "threads"),
        *("destination", "picture", "metrics", "errors", "transport"),
    },
}
"""What each module or subpackage imports of the project, beside itself: neither more nor less."""

FOREIGN: dict[str, set[str]] = {
    "errors": set(),
    "exports": set(),
    "metrics": {"numpy"},
    "allocation": set(),
    "threads": set(),
    "work": set(),
    "budget": set(),
    "ledger": set(),
    "order": set(),
    "succession": set(),
    "flags": set(),
    "opening": set(),
    "replacement": set(),
    "destination": set(),
    "formats": {"PIL", "numpy"},
    "console": set(),
    "interruption": set(),
    "imaging": {"numpy", "PIL"},
    "picture": {"numpy", "pi_heif", "pillow_jxl", "PIL"},
    "pillow": {"numpy", "PIL"},
    "diffusion": {"numpy", "onnxruntime", "torch", "safetensors"},
    "channel": {"numba", "numpy"},  # and, by name, constriction
    "container": {"google_crc32c"},
    "session": {"msgpack"},
    "packets": set(),
    "codec": {"numpy"},
    "clips": {"PIL", "av", "numpy"},
    "references": {"numpy"},
    "reception": set(),
    "emission": set(),
    "bulk": {"fsspec", "numpy"},
    "publishing": {"numpy", "PIL"},
    "cli": {"matplotlib", "numpy", "rich"},
    "start": set(),
    "__main__": set(),
    "transport": {"aiomqtt", "prometheus_client", "python_socks", "structlog", "websockets"},
    "viewer": set(),
    "server": {"fsspec", "numpy", "PIL", "prometheus_client", "structlog", "websockets"},
    "client": {
        *("anywidget", "h11", "numpy", "prometheus_client", "structlog", "traitlets"),
        "websockets",
    },
    "benchmarks": {
        *("numpy", "onnx", "rich", "torch", "PIL", "matplotlib", "playwright", "ssimulacra2"),
        *("av", "moto", "websockets", "werkzeug"),
    },
}
"""What each imports beside the project and the standard library: neither more nor less."""

WITHIN: dict[str, dict[str, set[str]]] = {
    "server": {
        "ops": set(),
        "threads": set(),
        "catalogue": set(),
        "cache": {"catalogue", "ops", "threads"},
        "encoding": {"cache", "catalogue", "ops", "threads"},
        "auth": {"encoding"},
        "http": {"auth", "catalogue", "encoding", "ops"},
        "mqtt": {"auth", "catalogue", "encoding", "ops"},
        "websocket": {"auth", "catalogue", "encoding", "ops"},
    },
    "client": {
        "decoding": set(),
        "remote": {"decoding"},
        "storage": {"decoding", "remote"},
        "api": {"decoding", "remote", "storage"},
        "mirror": {"decoding", "remote", "storage"},
        "web": {"remote"},
        "notebook": {"api", "decoding", "storage"},
        "cli": {"api", "decoding", "mirror", "remote", "storage", "web"},
    },
}
"""What each folder of a daemon imports of the others; modules beside them may import all."""

EVENT_LOOPS = {"asyncio", "selectors", "socket", "socketserver", "ssl"}
"""Parts of the standard library that are for NETWORKED alone."""
NETWORKED = ("server", "client", "benchmarks", "transport")
"""The daemons, what measures them, and the floor that both stand on."""

TORCH = {"diffusion/network.py", "diffusion/unet.py"}
"""What of the library imports torch, which is an extra."""

SERVING = {"link", "receive_packets", "send_packets"}
"""Commands of ``diffc`` that serve a link, and may import transport when they are run: until then
nothing of it is loaded, see ``test_light_modules_stay_light``."""

DRIVERS = ("browser", "link_transfers", "link_gallery", "load_drain", "regions")
"""Benchmarks that run both daemons."""

FOLDERS = {
    "server": Path("server"),
    "client": Path("client"),
    "viewer": Path("client/viewer"),
    "benchmarks": Path("benchmarks"),
}
"""Beside the library; they install as ``diffc_`` and their name."""

VIEWER_OF = ("server", "client", "benchmarks", "publishing")
"""Who may import the viewer, by its installed name: it is a folder of files, and knows nobody."""

HEAVY = ("asyncio", "numpy", "torch", "websockets")


def units() -> Iterator[tuple[str, Path]]:
    """Every source file, with the module or subpackage it belongs to."""
    for path in sorted((ROOT / "diffc_stream").rglob("*.py")):
        unit = path.relative_to(ROOT / "diffc_stream").parts[0].removesuffix(".py")
        if unit != "__init__":  # exports from everywhere, lazily
            yield unit, path
    for unit, folder in FOLDERS.items():
        within = [ROOT / other for other in FOLDERS.values() if folder in other.parents]
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not any(path.is_relative_to(other) for other in within):
                yield unit, path


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Dotted names of all that ``path`` imports, wherever in the file; names included."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            home = ".".join([*base, *([node.module] if node.module else [])])
            # The viewer is in the client's folder, and no part of it.
            home = home.replace("client.viewer", "viewer", 1)
            yield from (f"{home}.{alias.name}" for alias in node.names)


FILES = [
    pytest.param(unit, path, id=str(path.relative_to(ROOT)).removesuffix(".py"))
    for unit, path in units()
]


@pytest.mark.parametrize("unit", BELOW)
def test_imports_are_those_of_the_table(unit: str) -> None:
    names = {name for other, path in units() if other == unit for name in imported(path)}
    ours = {name.split(".")[1] for name in names if name.startswith("diffc_stream.")}
    foreign = {
        first
        for first in (name.partition(".")[0] for name in names)
        if first not in sys.stdlib_module_names
        and not first.startswith("diffc_")
        and first not in FOLDERS
    }
    assert ours - {unit} == BELOW[unit]
    assert foreign == FOREIGN[unit]
    assert unit in NETWORKED or not {name.partition(".")[0] for name in names} & EVENT_LOOPS


@pytest.mark.parametrize(("unit", "path"), FILES)
def test_folders_keep_to_themselves(unit: str, path: Path) -> None:
    for name in imported(path):
        first = name.partition(".")[0]
        if first == "diffc_viewer":
            assert unit in VIEWER_OF
        elif path.stem in DRIVERS and first in ("diffc_server", "diffc_client"):
            assert unit == "benchmarks"
        elif first in FOLDERS:
            assert first == unit, f"{unit} must not know {first}"
        else:
            assert first not in {f"diffc_{folder}" for folder in FOLDERS}, (
                f"{name}: relative imports only"
            )


def test_nothing_of_the_library_stands_on_the_daemons_floor() -> None:
    library = BELOW.keys() - FOLDERS.keys()
    assert {unit for unit in library if "transport" in BELOW[unit]} == {"cli"}
    serving = {
        path.stem
        for unit, path in units()
        if unit == "cli" and any(".transport" in name for name in imported(path))
    }
    assert serving == SERVING


def test_who_may_lean_on_the_benchmarks() -> None:
    folders = [ROOT / "tests", ROOT / "tests" / "support", ROOT / "examples"]
    leaning = {
        path.stem
        for folder in folders
        for path in folder.glob("*.py")
        if any(name.startswith("diffc_benchmarks") for name in imported(path))
    }
    doubles = {"abused", "comparison"}  # of what the benchmarks themselves measure
    assert {name for name in leaning if not name.startswith("test_benchmarks_")} == doubles


@pytest.mark.parametrize("below", [BELOW, *WITHIN.values()], ids=["all", *WITHIN])
def test_arrows_lead_nowhere_back(below: dict[str, set[str]]) -> None:
    placed: set[str] = set()
    while rest := below.keys() - placed:
        lowest = {unit for unit in rest if below[unit] <= placed}
        assert lowest, f"these import each other: {rest}"
        placed |= lowest


@pytest.mark.parametrize("daemon", WITHIN)
def test_folders_of_a_daemon_import_those_of_the_table(daemon: str) -> None:
    top = ROOT / FOLDERS[daemon]
    found: dict[str, set[str]] = {}
    for path in (path for unit, path in units() if unit == daemon):
        folder, *below = path.relative_to(top).parts
        if below:
            names = (name.split(".") for name in imported(path))
            others = {name[1] for name in names if name[0] == daemon and len(name) > 2}
            found.setdefault(folder, set()).update(others - {folder})
    assert found == WITHIN[daemon]


def test_torch_is_in_its_place() -> None:
    library = ROOT / "diffc_stream"
    heavy = {
        path.relative_to(library).as_posix()
        for path in library.rglob("*.py")
        if any(name.partition(".")[0] == "torch" for name in imported(path))
    }
    assert heavy == TORCH


def test_every_unit_has_its_place() -> None:
    assert {unit for unit, _ in units()} == set(BELOW) == set(FOREIGN)
    assert all(below < set(BELOW) for below in BELOW.values())


@pytest.mark.parametrize(
    ("name", "without"),
    [
        *((name, HEAVY) for name in ("diffc_stream", "diffc_stream.codec")),
        *((name, HEAVY) for name in ("diffc_stream.container", "diffc_stream.session")),
        ("diffc_stream.packets", HEAVY),
        ("diffc_stream.cli", ("asyncio", "ssl", "torch", "websockets", "diffc_stream.transport")),
        # Whoever sends streams as they are has no models.
        *((name, ("torch",)) for name in ("diffc_stream.codec.curve", "diffc_server")),
    ],
)
def test_light_modules_stay_light(name: str, without: tuple[str, ...]) -> None:
    script = f"import sys, {name}; print([m for m in {without} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_walk_sees_every_form_of_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "server" / "pump.py"
    path.parent.mkdir()
    path.write_text(
        "import a.b\nfrom c import d\nfrom . import e\nfrom .f import g\n"
        "def late():\n    import h\n"
        "from ..client import i\n"
    )
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert sorted(imported(path)) == sorted(
        ["a.b", "c.d", "server.e", "server.f.g", "h", "client.i"]
    )
