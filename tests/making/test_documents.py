"""Documents as text, whoever wrote them, and their passages."""

from __future__ import annotations

import importlib.util
import io
import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.making import document_worker, documents
from arkor_dev.making.documents import Document, find_documents, read_documents
from arkor_dev.making.passages import LONGEST, SHORTEST, passages_of

if TYPE_CHECKING:
    from pathlib import Path

HTML = """<!doctype html><html><head><title>No</title><style>p {color: red}</style></head>
<body><nav>Menu</nav><h1>The   Harbour</h1><p>It was <b>built</b> in
 1912.</p><ul><li>One<li>Two</ul><script>alert(1)</script><pre>a
  b</pre><table><tr><td>x</td><td>y</td></tr></table></body></html>"""


def pdf(text: str, pages: int = 1) -> bytes:
    """A minimal PDF with a line of text on each page."""
    content = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, b"5 0 R " * pages),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 3 0 R>>>>>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj" % number + each + b"endobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(out)
    return out + b"xref\n0 6\n0000000000 65535 f \n" + table + end


async def texts(folder: Path) -> dict[str, Document]:
    found = find_documents([folder], folder)
    return {document.name: document async for document in read_documents(found)}


async def test_each_format_is_read_and_damaged_files_are_named(tmp_path: Path) -> None:
    written = {
        "a.md": b"# Title\n\nWords.",
        "b.txt": "Grüße".encode("cp1252"),
        "c.html": HTML.encode(),
        "d.txt": b"\xff\xfeA\x00b\x00",
        "e.md": b"# Title\rWords.",
        "f.html": '<meta charset="utf-16"><p>Caf\u00e9'.encode(),
        "g.html": b'<meta charset="undefined"><p>Words.',
        "h.html": b"\xef\xbb\xbf" + '<meta charset="latin-1"><p>Caf\u00e9'.encode(),
        "japanese.txt": ("\u65e5\u672c\u8a9e" * 9).encode("shift_jis"),
        "russian.txt": ("\u0440\u0443\u0441\u0441\u043a\u0438\u0439 " * 9).encode("cp1251"),
        "bad.pdf": b"%PDF-1.4 and no more",
        "bad.docx": b"PK no zip",
        "binary.txt": b"\x7fELF\x00\xff" * 100,
        "empty.md": b" \n",
        ".hidden.md": b"secret",
        "other.bin": b"x",
    }
    for name, data in written.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    (tmp_path / os.fsdecode(b"\xff.md")).write_text("Words.")
    found = await texts(tmp_path)
    assert set(found) == {*written, "?.md"} - {".hidden.md", "other.bin"}
    assert (found["b.txt"].text, found["d.txt"].text) == ("Grüße", "Ab")
    assert found["e.md"].text == "# Title\nWords."
    assert [found[f"{name}.html"].text.strip() for name in "fgh"] == ["Caf\u00e9", "Words.", "Caf\u00e9"]
    for name in ("japanese.txt", "russian.txt"):
        assert found[name].problem == "its encoding is not known: save it as UTF-8"
    text = found["c.html"].text
    assert [line.strip() for line in text.splitlines() if line.strip()] == [
        "# The Harbour", "It was built in 1912.", "- One", "- Two", "a", "b", "x y",
    ]  # fmt: skip
    assert "not text" in found["binary.txt"].problem
    assert "no text" in found["empty.md"].problem
    for name in ("bad.pdf", "bad.docx"):
        assert found[name].text == ""
        assert found[name].problem


@pytest.mark.skipif(importlib.util.find_spec("pypdf") is None, reason="needs the extra documents")
async def test_pdf_pages_are_limited(tmp_path: Path) -> None:
    (tmp_path / "one.pdf").write_bytes(pdf("The harbour was built in 1912."))
    (tmp_path / "many.pdf").write_bytes(pdf("x", document_worker.PAGES + 1))
    found = await texts(tmp_path)
    assert found["one.pdf"].text.strip() == "The harbour was built in 1912."
    assert "more than 2,000 pages" in found["many.pdf"].problem


async def test_docx_headings_are_read_and_zip_bombs_refused(tmp_path: Path) -> None:
    docx = pytest.importorskip("docx")
    document = docx.Document()
    document.add_heading("The harbour", 2)
    document.add_paragraph("It was built in 1912.")
    table = document.add_table(2, 3)
    table.cell(0, 0).merge(table.cell(0, 2)).text = "merged"
    table.cell(1, 0).text = "cell"
    table.cell(1, 2).add_table(1, 1).cell(0, 0).text = "nested"
    document.save(str(tmp_path / "one.docx"))
    with zipfile.ZipFile(tmp_path / "one.docx") as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    for name, size in (("bomb.docx", 130), ("dense.docx", 64)):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for part, data in parts.items():
                # The second fits the limit as a file, and would not as a tree of elements.
                large = b"<w:p/>" * (size * 2**20 // 6) if part == "word/document.xml" else data
                archive.writestr(part, large)
        (tmp_path / name).write_bytes(packed.getvalue())
    found = await texts(tmp_path)
    assert found["one.docx"].text.split("\n\n")[:2] == ["## The harbour", "It was built in 1912."]
    assert found["one.docx"].text.split("\n\n")[2].splitlines() == ["merged", "cell |  | ", "nested"]
    assert "unpacks to more than" in found["bomb.docx"].problem
    assert found["dense.docx"].problem


async def test_a_slow_document_times_out_without_delaying_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.md"
    path.write_text("Words.")
    reader = documents._DocumentReader()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(documents, "SECONDS", 0.0)
            assert "takes longer than 0 s" in (await reader.read(path, "a.md")).problem
        assert (await reader.read(path, "a.md")).text == "Words."
    finally:
        await reader.close()


def test_passages_split_at_headings_paragraphs_and_sentences() -> None:
    paragraph = "A sentence of some length that says a thing. " * 10
    long = "One more sentence here. " * 300
    code = "```\n# not a heading\n\nx = 1\n```"
    text = f"# Book\n\n## One\n\n{paragraph}\n\n{paragraph}\n\n{code}\n\n## Two\n\n{long}\n\n# End\n\nShort."
    found = list(passages_of(Document("book.md", text)))
    assert [passage.heading for passage in found][:2] == ["Book", "Book > Two"]
    assert code in found[0].text
    assert all(SHORTEST <= len(passage.text) <= LONGEST + 20 for passage in found)
    whole = " ".join(" ".join(passage.text for passage in found).split())
    assert whole.count("One more sentence here.") == 300
    assert next(passages_of(Document("one.txt", "word" * 3000))).text == ("word" * 3000)[:LONGEST]


def test_unsupported_paths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.csv").touch()
    for name, why in (("empty", "no documents"), ("a.csv", "not a document"), ("gone.md", "does not exist")):
        with pytest.raises(BadRequestError, match=why):
            find_documents([tmp_path / name], tmp_path)
