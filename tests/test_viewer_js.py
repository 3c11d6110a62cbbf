"""The JavaScript receiver's own tests, its types and its format, by its own tools."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "client" / "viewer" / "js"


@pytest.mark.parametrize("script", ["test", "lint"])
def test_the_javascript_receiver(script: str) -> None:
    npm = shutil.which("npm")
    missing = "node and npm are not installed" if npm is None else ""
    if not (PACKAGE / "node_modules").is_dir():
        missing = missing or "run npm ci in client/viewer/js first"
    if missing or npm is None:
        assert os.environ.get("CI") != "true", missing
        pytest.skip(missing)
    result = subprocess.run(
        [npm, "run", "--silent", script],
        cwd=PACKAGE,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-8000:]
