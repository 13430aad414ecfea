"""What limited children of the tests load besides (``forked.py``): llama.cpp computes on one core there.

Its threads spin while they wait for one another. So small a model takes two of them more than twice the
processor's time, and on a busy machine longer as well.
"""

from arkor_dev.local.workers import resources

resources.available_cores = lambda: 1
