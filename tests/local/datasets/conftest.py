"""What of these tests can be collected: without the training libraries there is no numpy to import."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("numpy") else ["test_lengths.py", "test_view.py"]
