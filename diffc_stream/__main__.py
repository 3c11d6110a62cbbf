"""``python -m diffc_stream`` is ``diffc``."""

import sys

from diffc_stream.cli import main

sys.exit(main())
