"""docs/tutorial.md as a newcomer follows it: every command that it prints runs."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

from PIL import Image
from viewing import scene

DOCUMENT = (Path(__file__).parent.parent / "docs" / "tutorial.md").read_text()


def test_every_command_runs(tmp_path: Path) -> None:
    Image.fromarray(scene(64, 1)).save(tmp_path / "photo.jpg")
    commands = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(commands) == 5
    scripts = sysconfig.get_path("scripts")
    for command in commands:
        # A small picture has fewer bytes, and takes no time.
        small = re.sub(r"(--(?:max-)?bytes )(\d+)", lambda m: f"{m[1]}{int(m[2]) // 5}", command)
        done = subprocess.run(
            ["sh", "-e", "-c", small],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}"},
        )
        assert done.returncode == 0, done.stderr
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == {"first.png", "better.png", "all.png", "real.png"}
    assert (tmp_path / "photo.dfc").stat().st_size == 1200
