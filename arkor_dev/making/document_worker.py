"""The process that reads documents as text, one at a time, in bounded memory.

A kilobyte of a packed document can hold gigabytes, and the libraries that read PDF and DOCX are written for
trusted files. So they run here, under a memory limit, and callers wait only for a limited time.

Standard input has the path of a document per line, as JSON; the answer is ``{"text"}`` or ``{"problem"}``.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from arkor_dev.contract.extras import install_command
from arkor_dev.contract.regular_files import MIB, open_regular
from arkor_dev.data.memory_limit import limit_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docx.table import Table, _Cell

MARKDOWN: Final = (".md", ".markdown")
SUFFIXES: Final = (*MARKDOWN, ".txt", ".html", ".htm", ".pdf", ".docx")
MEMORY: Final = 2**30
"""Memory limit for reading, in bytes."""
FILE: Final = 64 * MIB
TEXT: Final = 4 * MIB
"""Maximum number of characters of a document."""
PAGES: Final = 2000
PARTS: Final = 5000
UNPACKED: Final = 128 * MIB
"""Maximum number of unpacked bytes of a DOCX file."""
_SKIPPED: Final = frozenset({"script", "style", "noscript", "template", "svg", "nav", "head"})
_BLOCKS: Final = frozenset({
    "address", "article", "aside", "blockquote", "body", "dd", "div", "dl", "dt", "figcaption", "figure",
    "footer", "form", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tr", "ul",
})  # fmt: skip
_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}?charset=[\"']?([\w.:-]{1,40})", re.IGNORECASE)


class UnreadableDocumentError(Exception):
    """Why a document cannot be read, to follow its name."""


def read(path: Path) -> str:
    """Return the text of a document; Markdown's ``#`` marks headings, whatever the format.

    Raises UnreadableDocumentError, and whatever the libraries raise.
    """
    with open_regular(path) as file:
        data = file.read(FILE + 1)
        if len(data) > FILE:
            raise UnreadableDocumentError(f"it has more than {FILE // MIB} MiB")
        file.seek(0)
        match path.suffix.lower():
            case ".pdf":
                text = _bounded(_pdf(file))
            case ".docx":
                text = _bounded(_docx(file))
            case ".html" | ".htm":
                text = _bounded(_html(data))
            case _:
                text = _bounded([_decoded(data)])
    if not text.strip():
        scan = " (a scan has only pictures)" if path.suffix.lower() == ".pdf" else ""
        raise UnreadableDocumentError(f"it has no text{scan}")
    # A lone surrogate cannot be encoded in UTF-8, and a row must not contain NUL.
    text = text.encode(errors="replace").decode().replace("\0", "")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _bounded(parts: Iterator[str] | list[str]) -> str:
    parts_read, size = [], 0
    for part in parts:
        parts_read.append(part)
        size += len(part)
        if size > TEXT:
            raise UnreadableDocumentError(f"it has more than {TEXT // 10**6} million characters: split it")
    return "".join(parts_read)


def _decoded(data: bytes) -> str:
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
                           (codecs.BOM_UTF16_BE, "utf-16")):  # fmt: skip
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        if b"\0" in data[:4096]:
            raise UnreadableDocumentError("it is not text") from None
    text = data.decode("cp1252", errors="replace")
    # Undefined bytes, or hardly a letter of the alphabet: an older encoding of Japanese or Russian.
    if "\ufffd" in text or 2 * sum(character > "\x7f" for character in text) > len(text) + 10:
        raise UnreadableDocumentError("its encoding is not known: save it as UTF-8")
    return text


def _html(data: bytes) -> Iterator[str]:
    charset = _CHARSET.search(data[:4096])
    try:
        # As in the HTML standard: a byte order mark counts more than a name, and a name that could be read
        # before decoding is not UTF-16's.
        marked = data.startswith(codecs.BOM_UTF8)
        believed = charset and not marked and not charset[1].lower().startswith(b"utf-16")
        text = data.decode(charset[1].decode()) if charset and believed else _decoded(data)
    except (LookupError, UnicodeError):
        text = _decoded(data)
    page = _Page()
    page.feed(text)
    page.close()
    return iter(page.parts)


class _Page(HTMLParser):
    """The visible text of a page, with headings as in Markdown."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden: list[str] = []
        self._as_is = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED:
            self._hidden.append(tag)
        elif tag == "body":
            self._hidden.clear()  # elements left open before it
        if self._hidden:
            return
        if tag == "br":
            self.parts.append("\n")
        elif re.fullmatch(r"h[1-6]", tag):
            self.parts.append(f"\n\n{'#' * int(tag[1])} ")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in ("td", "th"):
            self.parts.append(" ")
        elif tag in _BLOCKS:
            self.parts.append("\n\n")
        self._as_is += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif not self._hidden and (tag in _BLOCKS or re.fullmatch(r"h[1-6]", tag)):
            self.parts.append("\n\n")
            self._as_is -= tag == "pre" and self._as_is > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data if self._as_is else re.sub(r"\s+", " ", data))


def _pdf(file: BinaryIO) -> Iterator[str]:
    try:
        from pypdf import PdfReader
    except ImportError:
        raise UnreadableDocumentError(_missing("PDF")) from None
    document = PdfReader(file)
    if document.is_encrypted and not document.decrypt(""):
        raise UnreadableDocumentError("it needs a password")
    if len(document.pages) > PAGES:
        raise UnreadableDocumentError(f"it has more than {PAGES:,} pages: split it")
    for page in document.pages:
        yield page.extract_text() + "\n\n"


def _docx(file: BinaryIO) -> Iterator[str]:
    try:
        from docx import Document
        from docx.text.paragraph import Paragraph
    except ImportError:
        raise UnreadableDocumentError(_missing("DOCX")) from None
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        if len(parts) > PARTS or sum(part.file_size for part in parts) > UNPACKED:
            raise UnreadableDocumentError(
                f"it unpacks to more than {UNPACKED // MIB} MiB, or {PARTS:,} parts"
            )
    file.seek(0)
    for block in Document(file).iter_inner_content():
        if isinstance(block, Paragraph):
            heading = re.fullmatch(r"Heading ([1-6])", block.style.name or "" if block.style else "")
            yield f"{'#' * int(heading[1])} " if heading else ""
            yield f"{block.text}\n\n"
        else:
            yield from _docx_rows(block)
            yield "\n"


def _docx_rows(table: Table) -> Iterator[str]:
    """Yield the rows of a table, and those of tables in its cells after them."""
    above: list[_Cell] = []
    for row in table.rows:
        every = list(row.cells)
        # Merged cells are listed once for each place that they cover.
        cells = [cell for at, cell in enumerate(every) if cell not in every[:at] and cell not in above]
        above = every
        yield " | ".join(cell.text.strip() for cell in cells) + "\n"
        for cell in cells:
            for inner in cell.tables:
                yield from _docx_rows(inner)


def _missing(kind: str) -> str:
    return f"reading {kind} needs one more package. Install it with: {install_command('documents')}"


def main() -> None:
    """Answer requests until standard input ends."""
    limit_memory(MEMORY)
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        try:
            response = {"text": read(Path(json.loads(line)))}
        except UnreadableDocumentError as fault:
            response = {"problem": str(fault)}
        except MemoryError:
            response = {"problem": f"it needs more than {MEMORY // MIB} MiB of memory"}
        except OSError as fault:
            response = {"problem": f"it cannot be read: {fault.strerror or fault}"}
        except Exception as fault:  # noqa: BLE001 - the libraries raise what their parts raise
            response = {
                "problem": f"it is damaged ({' '.join(str(fault).split())[:200] or type(fault).__name__})"
            }
        out.write(json.dumps(response).encode() + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
