"""``arkor-dev docs``: opens the documentation that came with this installation, in the browser.

The pages are files and load nothing from elsewhere, so they work offline and without a server.
"""

from __future__ import annotations

from pathlib import Path

from arkor_dev.cli.browser import open_browser
from arkor_dev.contract.errors import NotFoundError
from arkor_dev.server.api.documentation import pages

SITE = Path(__file__).parents[2] / "site"
"""Built by scripts/check-docs: a release's wheel has it, a clone after that; others have Markdown alone."""


async def run_docs(*, print_only: bool) -> int:
    """Open the first page, or print its path; return the exit code.

    Without the built site, print where the Markdown is. Raises NotFoundError if there is none.
    """
    page = SITE / "index.html"
    if not page.is_file():
        index = pages().get("index")
        if index is None:
            raise NotFoundError(
                "This copy came without its documentation. Install it from a clone or a wheel."
            )
        print(  # noqa: T201
            f"This copy has the documentation as Markdown, in {index.parent}\n"
            "Studio's page shows it: Help (Ctrl K). In a clone, ./scripts/check-docs builds what this opens."
        )
        return 0
    print(page)  # noqa: T201
    if not print_only and not await open_browser(page.as_uri()):
        print("No browser could be started. Open the file above in one.")  # noqa: T201
    return 0
