"""The viewer: a receiver that runs in a browser, and what a daemon answers a browser with.

``page/`` is the page, ``js/src/`` the receiver in JavaScript, ``vendor/`` what ``make viewer``
fetches for it.  The modules here know which file is at which path and who may ask; they open no
sockets and know no event loop.
"""

from .assets import Asset, Assets
from .door import Door
from .site import Answer, Facts, Question, Site

__all__ = ["Answer", "Asset", "Assets", "Door", "Facts", "Question", "Site"]
