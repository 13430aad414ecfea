"""``python -m arkor_dev``: the same as the ``arkor-dev`` command."""

import sys

from .cli import main

sys.exit(main())
