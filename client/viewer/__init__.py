"""The viewer: a receiver that runs in a browser, and the files that a daemon serves to browsers.

``page/`` is the page, ``js/src/`` the receiver in JavaScript, ``vendor/`` the libraries that ``make
viewer`` fetches.  The Python modules map paths to files and check which requests are allowed; they
open no sockets and use no event loop.
"""

from .assets import Asset, Assets
from .origin_policy import OriginPolicy
from .published import PublishedViewer, published_viewer
from .site import Facts, Site, SiteRequest, SiteResponse

__all__ = [
    "Asset",
    "Assets",
    "Facts",
    "OriginPolicy",
    "PublishedViewer",
    "Site",
    "SiteRequest",
    "SiteResponse",
    "published_viewer",
]
