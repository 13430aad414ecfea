"""``python -m tests.support.run_input`` is ``python -``, for what is forked."""

import sys

exec(sys.stdin.read())  # noqa: S102
