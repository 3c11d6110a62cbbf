"""``python -m diffc_stream`` is ``diffc``."""

import sys

from diffc_stream.start import main

sys.exit(main())
