"""``python -m tests.support.run_code CODE ARGUMENTS`` is ``python -c CODE ARGUMENTS``, for what is forked."""

import sys

exec(sys.argv.pop(1))  # noqa: S102
