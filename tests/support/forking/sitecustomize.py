"""Python's own hook, by which a backend that a whole Studio of a test starts forks its workers.

``tests.local.forking_backend.of_a_studio`` puts this folder on the path of such a Studio.
"""

import sys

if sys.orig_argv[1:3] == ["-m", "arkor_dev.local"]:
    from tests.local.forking_backend import patch

    patch()
