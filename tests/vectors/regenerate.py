"""Write the golden stream anew: python tests/vectors/regenerate.py (after a format change only)."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

from sources import model, stream  # noqa: E402

from diffc_stream.codec import Decoder  # noqa: E402

EVERY = 97

decoder = Decoder([model()])
decoder.feed(stream(700))
rendering = decoder.render()
facts = {
    "stream": stream(700).hex(),
    "every": EVERY,
    "pixels": rendering.image.reshape(-1, 3)[::EVERY].tolist(),
    "predicted_psnr": rendering.predicted_psnr,
}
(HERE / "stream.json").write_text(json.dumps(facts) + "\n")
