"""The page's scripts: their types and their format, by the tools of the package beside them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

VIEWER = Path(__file__).parent.parent / "client" / "viewer"
TOOLS = VIEWER / "js" / "node_modules" / ".bin"


@pytest.mark.parametrize("check", [["prettier", "--check"], ["tsc", "--project"]])
def test_the_page(check: list[str]) -> None:
    tool, flag = check
    missing = "" if shutil.which("node") else "node is not installed"
    if not (TOOLS / tool).is_file():
        missing = missing or "run npm ci in client/viewer/js first"
    if missing:
        assert os.environ.get("CI") != "true", missing
        pytest.skip(missing)
    result = subprocess.run(
        [TOOLS / tool, flag, VIEWER / "page"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-8000:]
