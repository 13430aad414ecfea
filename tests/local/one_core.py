"""``python -m tests.local.one_core MODULE``: the tests' limited children let llama.cpp compute on one core.

Its threads spin while they wait for one another. So small a model takes two of them more than twice the
processor's time, and on a busy machine longer as well.
"""

import runpy
import sys

from arkor_dev.local.workers import resources

resources.available_cores = lambda: 1
runpy.run_module(sys.argv.pop(), run_name="__main__", alter_sys=True)
