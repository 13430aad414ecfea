"""How an embedder learns from pairs of texts; names and defaults are those of sentence-transformers."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import Rule, above_zero, integer, text_line

from .setting import LOCAL, Setting

METHOD: Final = "embed"
RANKING: Final = "MultipleNegativesRankingLoss"
COSINE: Final = "CosineSimilarityLoss"
COSENT: Final = "CoSENTLoss"
SCORED: Final = (COSENT, COSINE)
"""Losses of pairs with scores; the first is the default."""
MEAN: Final = "mean"
LAST: Final = "lasttoken"
MOST_DIMENSIONS: Final = 16

_setting = partial(Setting, group="data", where=LOCAL, methods=(METHOD,))

ROWS: Final = (
    _setting(
        key="loss",
        field="loss",
        label="Loss",
        help="MultipleNegativesRankingLoss learns from pairs and triplets, with the other rows of a batch as "
        "negatives; CoSENTLoss and CosineSimilarityLoss learn from pairs with scores.",
        rule=Rule("choice", choices=(RANKING, *SCORED)),
        style="text",
        default_words="MultipleNegativesRankingLoss; CoSENTLoss for pairs with scores",
        example=RANKING,
        measured_by=(METHOD,),
    ),
    _setting(
        key="scale",
        field="scale",
        label="Scale",
        help="Multiplies the cosine similarities in MultipleNegativesRankingLoss and CoSENTLoss: the inverse "
        "of the temperature.",
        rule=above_zero(1000),
        style="rate",
        default=20.0,
        measured_by=(METHOD,),
    ),
    _setting(
        key="matryoshka_dims",
        field="matryoshkaDims",
        label="Matryoshka dimensions",
        help="Sizes to which an embedding can later be shortened: the loss is also computed on its first "
        "numbers, so many each time (MatryoshkaLoss).",
        rule=Rule(
            "list",
            1,
            MOST_DIMENSIONS,
            f"a whole number or a list of up to {MOST_DIMENSIONS}",
            of=integer(1, 100_000),
        ),
        style="list",
        default_words="the full size only",
        example=[64, 128, 256],
        measured_by=(METHOD,),
    ),
    _setting(
        key="pooling_mode",
        field="poolingMode",
        label="Pooling",
        help="A text's embedding is the mean of its tokens' last hidden states, or that of its last token.",
        rule=Rule("choice", choices=(MEAN, LAST)),
        style="text",
        default=MEAN,
    ),
    _setting(
        key="query_prompt",
        field="queryPrompt",
        label="Prompt of queries",
        help="Text before every anchor (or sentence1), in training and whenever a query is embedded.",
        rule=text_line(1000),
        style="text",
        default_words="none",
        example="query: ",
    ),
    _setting(
        key="document_prompt",
        field="documentPrompt",
        label="Prompt of documents",
        help="Text before every positive and negative (or sentence2), and whenever a document is embedded.",
        rule=text_line(1000),
        style="text",
        default_words="none",
        example="passage: ",
    ),
    _setting(
        key="corpus",
        field="corpus",
        label="Corpus",
        help="More documents that held-out anchors search in the verdict, besides the held-out ones. Nothing "
        "is learned from them.",
        rule=text_line(1000, "the path of a file or folder of the project"),
        style="text",
        default_words="the held-out documents alone",
        example="data/documents.jsonl",
        measured_by=(METHOD,),
    ),
)
