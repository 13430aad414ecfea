"""Minimum numbers of independent held-out rows, below which there is no verdict.

They are apart from the comparisons, which import numpy: a run and a sweep check them before they load it.
"""

from typing import Final

ROWS: Final = 8
"""Minimum number of rows (or groups)."""
PREFERENCES: Final = 20
"""Minimum number of preferences."""
