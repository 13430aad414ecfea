"""``python -m arkor_dev``: the same as the ``arkor-dev`` command."""

import sys

from arkor_dev.cli.main import main

sys.exit(main())
