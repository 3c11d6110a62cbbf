"""Names of pictures that mean harm, or nothing, beside some that are right."""

from __future__ import annotations

NAMES = tuple(
    name.encode("utf-8", "surrogateescape")
    for name in (
        *("a.png", "sub/c.jpg", "loop.png", "out.png", "folder.png", ".hidden.png", "no.txt"),
        *("../secret.png", "sub/../a.png", "./a.png", "/etc/passwd", "//a.png", "a.png/", "sub//a"),
        *("..\\secret.png", "C:\\a.png", "a.png\0.txt", "%2e%2e/secret.png", "..%2fsecret.png"),
        *("", ".", "..", "...", "/", "~/a.png", "sub/.hidden/a.png", "away/secret.png", "a.png\n"),
        *("a" * 300 + ".png", "é" * 128, "a/" * 120 + "b.png", "\u2028.png", "\u202egnp.a"),
        *("\udcff.png", "\ufeffa.png", "a.PNG", "A.png", "con.png", "a.png ", "a.png:stream"),
    )
)
