"""Makes one site of docs/ and of what is written elsewhere, for MkDocs, which calls this as a hook.

Pages are written to be read in the repository, and link to its files.  In the site, the pages in
:data:`PAGES` have places of their own, and other files that are linked are copied below ``files/``.

    python -m tools.site build/live

writes what the page "Live" needs: a stream to show.  ``dist/`` of the npm package has the rest.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "client/viewer/js/README.md": "reference/javascript.md",
}
"""Where pages outside ``docs/`` go."""
DECISIONS = "decisions/README.md"
LIVE = ROOT / "build" / "live"
DIST = ROOT / "client" / "viewer" / "js" / "dist"
STREAM = "coffee.dfc"
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files that are outside ``docs/``."""
    from mkdocs.structure.files import File

    for source, place in PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    todo = [(file.src_uri, file.content_string) for file in files.documentation_pages()]
    while todo:
        place, text = todo.pop()
        for target in sorted(linked(text, _origin(place))):
            here = target in PAGES or target.startswith("docs/")
            if here or files.get_file_from_path(_place(target)):
                continue
            added = File.generated(config, _place(target), abs_src_path=str(ROOT / target))
            files.append(added)
            if added.is_documentation_page():
                todo.append((added.src_uri, added.content_string))
    for folder, below in ((DIST, "diffc/"), (LIVE, "")):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and path.suffix != ".md":
                name = below + path.relative_to(folder).as_posix()
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Let the links of a page lead to where things are in the site."""
    place = page.file.src_uri
    if place == DECISIONS:
        markdown = f"{markdown.rstrip()}\n\n{_decisions()}\n"
    return moved(markdown, place)


def moved(markdown: str, place: str) -> str:
    """Return a page's text with its links as they are at ``place`` in the site."""
    origin, below = _origin(place), posixpath.dirname(place)

    def renamed(match: re.Match[str]) -> str:
        target = _target(match[2], origin)
        if target is None:
            return match[0]
        there = posixpath.relpath(_place(target), below or ".")
        return f"{match[1]}{there}{match[3] or ''}{match[4]}"

    # What is printed as code is not a link.
    parts = _CODE.split(markdown)
    return "".join(part if i % 2 else _LINK.sub(renamed, part) for i, part in enumerate(parts))


def linked(markdown: str, origin: str) -> set[str]:
    """Return the files of the repository that a page links to, by their paths in it."""
    text = "".join(_CODE.split(markdown)[::2])
    targets = (_target(match[2], origin) for match in _LINK.finditer(text))
    return {target for target in targets if target is not None}


def _decisions() -> str:
    """Return a list of all decisions, which in the repository is the folder itself."""
    paths = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    titles = (path.read_text().partition("\n")[0].removeprefix("# ") for path in paths)
    return "\n".join(f"- [{title}]({path.name})" for title, path in zip(titles, paths, strict=True))


def _target(link: str, origin: str) -> str | None:
    """Return the file of the repository that a link of the page at ``origin`` is to, or None."""
    if ":" in link or link.startswith("/"):
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
    if (ROOT / target).is_dir():
        target = f"{target}/{'table.md' if target == 'docs/comparison' else 'README.md'}"
    return target if (ROOT / target).is_file() else None


def _origin(place: str) -> str:
    """Return where a page of the site is in the repository."""
    for source, page in PAGES.items():
        if page == place:
            return source
    return place.removeprefix("files/") if place.startswith("files/") else f"docs/{place}"


def _place(target: str) -> str:
    """Return where a file of the repository is in the site."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return PAGES.get(target, f"files/{target}")


def main() -> None:
    """Encode the photograph of the page "Live" into the folder that is the only argument."""
    import numpy as np
    from PIL import Image

    from diffc_stream.codec import Encoder
    from diffc_stream.diffusion.collection import default_model
    from examples.demo import default_photo

    [folder] = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(default_photo()) as whole:
        photograph = whole.convert("RGB").resize((360, 240), Image.Resampling.LANCZOS)
    encoder = Encoder(np.asarray(photograph), default_model(), target_bytes=8000)
    (folder / STREAM).write_bytes(b"".join(encoder))


if __name__ == "__main__":
    main()
