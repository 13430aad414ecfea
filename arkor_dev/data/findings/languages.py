"""Rows in another language than most, detected by script, and for Latin scripts by common words."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from .finding import Check, CheckedRow, FoundRows, be

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.dataset_shapes import Finding

_COMMON: Final = {
    "English": "the and is are was of to in that it you your for with this have not but they from or be can",
    "German": "der die das und ist sind nicht ein eine einen mit auf für von den zu sie ich auch sich",
    "French": "les des est une dans pour pas que qui vous sur avec elle sont cette être nous mais plus leur",
    "Spanish": "los las una para por como pero más esta son muy también que del está puede sus hay desde",
    "Italian": "che non per della sono con una gli nel come più anche questo questa alla può dei delle",
    "Portuguese": "que não uma para como mais você está isso são também pelo pela foi muito seu sua pode",
    "Dutch": "het een van niet zijn voor dat die ook aan maar naar wordt deze kunnen heeft bij worden",
    "Polish": "nie się jest że jak ale są dla czy tym być oraz można przez już tylko który która",
    "Turkish": "bir için çok olarak daha gibi ama olan kadar değil her bunu sonra ile veya şekilde",
    "Swedish": "och att det som för med till den har inte jag från eller kan ett också när vara",
    "Indonesian": "yang dan untuk dengan ini itu dari dalam tidak akan pada adalah atau juga bisa anda",
    "Vietnamese": "của không được trong cho một những với các này khi đã để người bạn nhưng",
}
"""Common words of at least two letters: single letters are names, bullets and flags in any language."""
_WORDS: Final = {language: frozenset(words.split()) for language, words in _COMMON.items()}
_SCRIPTS: Final = {
    "Japanese": re.compile("[\u3040-\u30ff]"),
    "Korean": re.compile("[\uac00-\ud7af]"),
    "Chinese": re.compile("[\u4e00-\u9fff]"),
    "Russian or another language in Cyrillic": re.compile("[\u0400-\u04ff]"),
    "Greek": re.compile("[\u0370-\u03ff]"),
    "Arabic or another language in its script": re.compile("[\u0600-\u06ff]"),
    "Hebrew": re.compile("[\u0590-\u05ff]"),
    "Hindi or another language in Devanagari": re.compile("[\u0900-\u097f]"),
    "Thai": re.compile("[\u0e00-\u0e7f]"),
}
"""In the order of detection: Japanese also contains Chinese characters."""
_LETTERS: Final = re.compile(r"[^\W\d_]+")
CHARACTERS: Final = 600
"""Characters of an answer used to detect its language."""
LANGUAGES: Final = (*_COMMON, *_SCRIPTS)
FEWEST: Final = 4
DIFFERENT: Final = 3
"""Minimum number of common words, and fewest different ones; with fewer, or less than three times the
runner-up's, the language is unknown.
"""
MOST_OTHERS: Final = 0.4
"""Largest share of foreign rows that is reported: more of them means multilingual data."""


def language_of(text: str) -> str | None:
    """Return the language of a text, if its beginning leaves no doubt."""
    text = text[:CHARACTERS]
    if not text.isascii():
        letters = sum(map(len, _LETTERS.findall(text)))
        for language, script in _SCRIPTS.items():
            share = 0.2 if language == "Japanese" else 0.5
            if letters >= 8 and len(script.findall(text)) >= share * letters:
                return language
    words = Counter(_LETTERS.findall(text.lower()))
    counts = sorted(
        ((sum(words[token] for token in common & words.keys()), name) for name, common in _WORDS.items()),
        reverse=True,
    )
    (highest, language), (second, _) = counts[:2]
    sure = highest >= FEWEST and highest >= 3 * second and len(_WORDS[language] & words.keys()) >= DIFFERENT
    return language if sure else None


class Languages(Check):
    """Answers in another language than most of them."""

    def __init__(self) -> None:
        self._by_language: dict[str, FoundRows] = {}

    def examine(self, checked: CheckedRow) -> None:
        language = language_of(checked.answer)
        if language is not None:
            self._by_language.setdefault(language, FoundRows()).add(checked)

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        if len(self._by_language) < 2:
            return
        by_count = sorted(self._by_language.items(), key=lambda entry: -entry[1].count)
        (main, main_rows), *others = by_count
        count = sum(rows_of_language.count for _, rows_of_language in others)
        if count > MOST_OTHERS * (count + main_rows.count):
            return
        names = ", ".join(f"{name} ({rows_of_language.count:,})" for name, rows_of_language in others[:4])
        rows = sorted(
            (row for _, rows_of_language in others for row in rows_of_language.rows),
            key=lambda row: row["row"],
        )
        yield FoundRows(count, rows[:20]).finding(
            "languages",
            "note",
            f"{be(count)} answered in a different language from most: {names}",
            f"Most answers are in {main}. A few in another language teach the model to switch to it now "
            "and then.",
            "Keep them if they are intended; otherwise remove them.",
        )
