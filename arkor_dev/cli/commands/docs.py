"""``arkor-dev docs``: opens the documentation that came with this installation, in the browser.

The pages are files and load nothing from elsewhere, so they work offline and without a server.
"""

from __future__ import annotations

from pathlib import Path

from arkor_dev.cli.browser import open_browser
from arkor_dev.contract.errors import NotFoundError

SITE = Path(__file__).parents[2] / "site"
"""Built by scripts/check-docs; a wheel has it, a clone after that."""


async def run_docs(*, print_only: bool) -> int:
    """Open the first page, or print its path; return the exit code. Raises NotFoundError if there is none."""
    page = SITE / "index.html"
    if not page.is_file():
        raise NotFoundError(
            "This copy was installed from its sources, which come without the built documentation. Read the "
            "files in docs/ of the clone, or build it there: ./scripts/check-docs"
        )
    print(page)  # noqa: T201
    if not print_only and not await open_browser(page.as_uri()):
        print("No browser could be started. Open the file above in one.")  # noqa: T201
    return 0
