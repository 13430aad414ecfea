"""The minimum number of independent held-out rows, below which there is no verdict.

It is apart from the comparisons, which import numpy: a run and a sweep check it before they load it.
"""

from typing import Final

ROWS: Final = 8
"""Minimum number of rows, groups or preferences.

With so few, the interval is a 99 % one, and a verdict on preferences needs all eight on one side. For an
adapter that learned nothing that happens in 0.8 % of runs; in 3.8 % if margins are lognormal with mean zero.
"""
