"""Write one: python -m tests.tiny FOLDER."""

import sys
from pathlib import Path

from tests.tiny import build_tiny_bundle

print(build_tiny_bundle(Path(sys.argv[1])))
