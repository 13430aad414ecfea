"""Puts the documentation's Markdown into each wheel; pyproject.toml has everything else.

The page's Help reads these files. The built site needs zensical: only scripts/release adds it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithDocumentation(build_py):
    """Builds the package, with the sources of its documentation in ``arkor_dev/site``."""

    def run(self) -> None:
        """Build; an editable installation reads ``docs/`` itself."""
        super().run()
        if self.editable_mode:
            return
        site = Path(self.build_lib) / "arkor_dev" / "site"
        site.mkdir(exist_ok=True)
        for source in (*Path("docs").glob("*.md"), Path("docs/llms.txt")):
            shutil.copy(source, site)


setup(cmdclass={"build_py": BuildWithDocumentation})
