"""The JavaScript receiver's own tests, its types and its format, by its own tools."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "client" / "viewer" / "js"
TESTS = sorted(path.name for path in (PACKAGE / "test").glob("*.test.js"))


@pytest.fixture
def npm() -> str:
    """Where npm is; the test is skipped if it is nowhere, but in CI it fails."""
    found = shutil.which("npm")
    missing = "node and npm are not installed" if found is None else ""
    if not (PACKAGE / "node_modules" / "esbuild").is_dir():
        missing = missing or "run npm ci in client/viewer/js first"
    if missing or found is None:
        assert os.environ.get("CI") != "true", missing
        pytest.skip(missing)
    return found


@pytest.mark.parametrize("file", TESTS)
def test_the_javascript_receiver(npm: str, file: str) -> None:
    run("node", "--test", f"test/{file}")


def test_its_types_and_its_format(npm: str) -> None:
    run(npm, "run", "--silent", "lint")


def test_npm_runs_all_of_its_tests() -> None:
    scripts = json.loads((PACKAGE / "package.json").read_text())["scripts"]
    assert scripts["test"] == "node --test test/*.test.js"


def test_what_is_published_is_all_that_it_says(npm: str) -> None:
    (packed,) = json.loads(run(npm, "pack", "--dry-run", "--json"))
    files = {file["path"] for file in packed["files"]}
    promised = json.loads((PACKAGE / "package.json").read_text())["exports"]
    for entry in promised.values():
        paths = [entry] if isinstance(entry, str) else entry.values()
        assert {path.removeprefix("./") for path in paths} <= files
    assert not [path for path in files if path.startswith(("test/", "node_modules/"))]


def run(*command: str) -> str:
    result = subprocess.run(
        command,
        cwd=PACKAGE,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-8000:]
    return result.stdout
