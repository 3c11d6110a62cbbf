"""What is installed is what is here, under names that are ours."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS: dict[str, Any] = PROJECT["tool"]["setuptools"]
MAPPED: dict[str, str] = SETUPTOOLS["package-dir"]
SCRIPTS: dict[str, str] = PROJECT["project"]["scripts"]


def folder_of(package: str) -> Path:
    top, *below = package.split(".")
    return ROOT.joinpath(MAPPED.get(top, top), *below)


def top_packages() -> list[str]:
    return sorted({package.partition(".")[0] for package in SETUPTOOLS["packages"]})


def files(package: str) -> list[Path]:
    """All files of a package, without those of packages in its folder, and what is generated."""
    top = folder_of(package)
    within = [ROOT / folder for folder in MAPPED.values() if top in (ROOT / folder).parents]
    return [
        path
        for path in top.rglob("*")
        if path.is_file()
        and not {"__pycache__", "node_modules", "vendor"} & set(path.relative_to(top).parts)
        and not any(path.is_relative_to(folder) for folder in within)
    ]


def is_for_developers(path: Path) -> bool:
    """What npm packages: of it only the sources are served."""
    scripts = folder_of("diffc_viewer") / "js"
    return path.is_relative_to(scripts) and not path.is_relative_to(scripts / "src")


def test_the_list_of_packages_is_the_folders() -> None:
    found = []
    for package in top_packages():
        top = folder_of(package)
        folders = {path.parent for path in files(package) if path.suffix == ".py"}
        found += [".".join([package, *folder.relative_to(top).parts]) for folder in folders]
    assert sorted(found) == sorted(SETUPTOOLS["packages"])
    assert all((folder_of(package) / "__init__.py").is_file() for package in found)


@pytest.mark.parametrize("package", top_packages())
def test_every_other_file_is_package_data(package: str) -> None:
    top, patterns = folder_of(package), SETUPTOOLS["package-data"][package]
    others = [
        str(path.relative_to(top))
        for path in files(package)
        if path.suffix != ".py" and not is_for_developers(path)
    ]
    assert "py.typed" in others
    for name in others:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name


def test_every_package_comes_with_its_licence() -> None:
    scripts = folder_of("diffc_viewer") / "js"
    manifest = json.loads((scripts / "package.json").read_text())
    assert PROJECT["project"]["license"] == manifest["license"] == "Apache-2.0"
    assert PROJECT["project"]["license-files"] == ["LICENSE", "NOTICE"]
    assert "NOTICE" in manifest["files"]  # npm takes LICENSE along unasked, but no links
    for name in ("LICENSE", "NOTICE"):
        assert (scripts / name).read_bytes() == (ROOT / name).read_bytes()
        assert not (scripts / name).is_symlink()


def test_the_notice_warns_as_the_readme_does() -> None:
    notice, readme = ((ROOT / name).read_text() for name in ("NOTICE", "README.md"))
    section = readme.partition("## Licence and patents")[2].partition("\n## ")[0]
    assert re.findall(r"US\d+\w*", notice) == re.findall(r"US\d+\w*", section) != []
    for words in ("freedom to operate", "terms allow research use"):
        assert words in " ".join(notice.split())
        assert words in " ".join(section.split())


def test_no_generic_names_are_installed(tmp_path: Path) -> None:
    generic = ["server", "client", "tests", "examples", "training", "benchmarks", "fuzz", "tools"]
    ours = top_packages()
    script = (
        "from importlib.util import find_spec\n"
        f"print([n for n in {generic} if find_spec(n)], [n for n in {ours} if not find_spec(n)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.strip() == "[] []"


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_teach(script: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts"), script), "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {script}")


@pytest.mark.parametrize("script", SCRIPTS)
def test_modules_run_like_their_scripts(script: str, tmp_path: Path) -> None:
    package = SCRIPTS[script].partition(".")[0]
    done = subprocess.run(
        [sys.executable, "-m", package, "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout.startswith("usage: ")
