"""The HTTP headers that a web server should send with the files of a published folder.

Two files in the folder say so: ``_headers``, which Cloudflare Pages, Netlify and others read, and
``nginx.conf``, to be included in a ``server`` block of nginx.
"""

from __future__ import annotations

FOR_EVER = "public, max-age=31536000, immutable"
"""Cache-Control of files whose names contain their hashes: they never change."""
REVALIDATED = "no-cache"
"""Cache-Control of all others: caches keep them, and ask each time whether they have changed."""
HEADERS = "_headers"
NGINX = "nginx.conf"

_HASHED = ("streams", "-")
_ALL = {
    # An isolated page may use threads, because no other site shares its process.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "frame-ancestors 'none'",
}
_TYPES = {
    "text/html": ("html",),
    "text/css": ("css",),
    "text/javascript": ("js", "mjs"),
    "text/plain": ("txt",),
    "application/json": ("json",),
    "application/wasm": ("wasm",),
    "image/svg+xml": ("svg",),
    "image/webp": ("webp",),
    "application/vnd.diffc": ("dfc",),
}
_OTHER = "application/octet-stream"


def cache_control(path: str) -> str:
    """Return the Cache-Control of a file, by its path in the published folder."""
    return FOR_EVER if path.partition("/")[0] in _HASHED and "/" in path else REVALIDATED


def content_type(path: str) -> str:
    """Return the Content-Type of a file."""
    suffix = path.rpartition(".")[2]
    kinds = (kind for kind, suffixes in _TYPES.items() if suffix in suffixes)
    return next(kinds, _OTHER)


def headers_file() -> bytes:
    """Return the content of ``_headers``."""
    lines = ["/*", *(f"  {name}: {value}" for name, value in _ALL.items())]
    for path in ("/", "/index.html", "/catalogue.json"):
        lines += [path, f"  Cache-Control: {REVALIDATED}"]
    for folder in _HASHED:
        lines += [f"/{folder}/*", f"  Cache-Control: {FOR_EVER}"]
    return "".join(f"{line}\n" for line in lines).encode()


def nginx_file() -> bytes:
    """Return the content of ``nginx.conf``, for a folder that is at the root of its host."""
    types = "".join(f"        {kind} {' '.join(suffixes)};\n" for kind, suffixes in _TYPES.items())
    every = "".join(f'    add_header {name} "{value}" always;\n' for name, value in _ALL.items())
    hashed = "|".join(_HASHED)
    text = f"""\
# Written by diffc publish.  In a server block of nginx:
#     root /srv/pictures;
#     include /srv/pictures/nginx.conf;
location / {{
    types {{
{types}    }}
    default_type {_OTHER};
    charset utf-8;
    charset_types text/css text/javascript text/plain;
    index index.html;
    gzip off;
    gzip_static on;
    add_header Cache-Control "{REVALIDATED}";
{every}
    location ~ ^/({hashed})/ {{
        add_header Cache-Control "{FOR_EVER}";
{every}    }}
    location ~ /\\.|^/(_headers|nginx\\.conf)$ {{
        return 404;
    }}
}}
"""
    return text.encode()
