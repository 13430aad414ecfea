"""Which tokens may come: whatever is drawn of them is valid, with every kind of tokenizer."""

from __future__ import annotations

import json
import random
import string
import time
from typing import TYPE_CHECKING, Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("llguidance")
pytest.importorskip("transformers")

from jsonschema import Draft202012Validator  # noqa: E402

from arkor_dev.local.inference.generation.decoding import IncrementalDecoder  # noqa: E402
from arkor_dev.local.inference.generation.sampling import Sampler  # noqa: E402
from arkor_dev.local.inference.messages import Sampling  # noqa: E402
from arkor_dev.local.inference.structured_output.constraint import (  # noqa: E402
    DIGITS,
    NESTED,
    Constraint,
    ParserLimits,
    Vocabulary,
)
from arkor_dev.local.inference.structured_output.request import OutputFormat, format_of  # noqa: E402
from arkor_dev.local.inference.structured_output.schemas import read  # noqa: E402
from arkor_dev.local.workers.errors import JobFailure  # noqa: E402
from tests.local.tiny_model import HERMES, PHRASE, QUESTIONS, make_tokenizer  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
NODE = {
    "type": "object",
    "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["v", "next"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, Any] = {
    "any object": {"type": "object"},
    "closed": {
        "type": "object",
        "properties": {
            "a": {"type": "string", "maxLength": 5},
            "b": {"type": "boolean"},
            "c": {"enum": [1, "x", None, [2]]},
        },
        "required": ["a", "c"],
        "additionalProperties": False,
    },
    "open, of one type": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, 'é"\\\n': {"const": "é\t😀"}},
        "additionalProperties": {"type": "string", "maxLength": 3},
        "required": ["a", 'é"\\\n'],
        "maxProperties": 4,
    },
    "named by patterns": {
        "type": "object",
        "properties": {"xa": {"type": "null"}},
        "patternProperties": {"^x": {"type": ["integer", "null"]}, "^y": {"type": "boolean"}},
        "additionalProperties": False,
        "required": ["xa"],
        "minProperties": 2,
    },
    "a list": {
        "type": "array",
        "items": {"type": "number", "minimum": -1.5, "exclusiveMaximum": 2},
        "minItems": 2,
        "maxItems": 4,
    },
    "a tuple": {
        "type": "array",
        "prefixItems": [{"type": "integer", "multipleOf": 7, "maximum": 1000}, {"const": {"a": [1.5]}}],
        "items": False,
        "minItems": 2,
    },
    "texts of a form": {
        "type": "object",
        "properties": {
            "d": {"type": "string", "format": "date"},
            "u": {"type": "string", "format": "uuid"},
            "i": {"type": "string", "format": "ipv4"},
            "p": {"type": "string", "pattern": "^[A-Z]{2}-\\d+(a|é)?$", "maxLength": 9},
            "s": {"type": "string", "minLength": 2, "maxLength": 4},
        },
        "required": ["d", "u", "i", "p", "s"],
    },
    "one in another": {"$defs": {"node": NODE}, "$ref": "#/$defs/node"},
    "together": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
            {"properties": {"a": {"maximum": 12}, "b": {"type": "null"}}, "required": ["b"]},
        ],
        "maxProperties": 3,
    },
    "one of": {
        "oneOf": [
            {
                "type": "object",
                "properties": {"k": {"const": "a"}, "v": {"type": "integer"}},
                "required": ["k", "v"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"k": {"const": "b"}, "v": {"type": "boolean"}},
                "required": ["k", "v"],
                "additionalProperties": False,
            },
            {"type": "null"},
        ]
    },
    "no type at all": {"minimum": 5, "maxLength": 2, "maxItems": 1, "maxProperties": 1},
}


def metaspace() -> Any:
    """A tokenizer as SentencePiece makes them: spaces are a mark, and what it lacks is bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=list(string.printable[:95]), show_progress=False
    )
    trained.train_from_iterator([*QUESTIONS, PHRASE, '{"a": 1, "b": [true, null]}'], trainer)
    model = json.loads(trained.to_str())["model"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *model["vocab"]]
    bpe = Tokenizer(
        models.BPE(
            {token: number for number, token in enumerate(tokens)},
            [tuple(merge) for merge in model["merges"]],
            byte_fallback=True,
            unk_token="<unk>",
        )
    )
    bpe.pre_tokenizer = trained.pre_tokenizer
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    bpe.decoder = decoders.Sequence(parts)
    bpe.add_special_tokens(["<unk>", "<s>", "</s>"])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="module", params=["bytes", "marks"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return make_tokenizer() if request.param == "bytes" else metaspace()


@pytest.fixture(scope="module")
def vocabulary(tokenizer: Any) -> Vocabulary:
    return Vocabulary.of(tokenizer, [tokenizer.eos_token_id])


def written(
    vocabulary: Vocabulary, tokenizer: Any, schema: Any, seed: int, most: int = 600
) -> tuple[str, str]:
    """A text of tokens that are drawn at random of those that may come, and why it ends."""
    constraint = constrained(vocabulary, json.dumps(read(schema)), "responseFormat")
    sampler, text = Sampler(Sampling(temperature=1.5, seed=seed), []), IncrementalDecoder(tokenizer)
    chance = np.random.default_rng(seed)
    marks = [tokenizer.convert_tokens_to_ids(each) for each in ('"', "}", "]")]
    said = ""
    for _ in range(most):
        figures: NDArray[Any] = chance.standard_normal(len(tokenizer) + 7).astype(np.float32)
        figures[marks] += 3.5  # values that end now and then
        token = sampler.choose(figures, constraint.allowed(figures.size)).token
        if token == tokenizer.eos_token_id:
            return said, "stop"
        said += text.push(token)
        if end := constraint.accept(token):
            return said, end
    return said, "length"


@pytest.mark.parametrize("name", SCHEMAS)
def test_constrained_answers_validate_against_the_schema(
    vocabulary: Vocabulary, tokenizer: Any, name: str
) -> None:
    schema, whole = SCHEMAS[name], 0
    validator = Draft202012Validator(schema)
    for seed in range(25):
        said, end = written(vocabulary, tokenizer, schema, seed)
        if end == "stop":
            whole += 1
            errors = [error.message for error in validator.iter_errors(json.loads(said))]
            assert errors == [], said
    assert whole > 3


def test_property_names_have_one_spelling(vocabulary: Vocabulary, tokenizer: Any) -> None:
    schema = json.dumps(
        {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": True}
    )
    constraint = constrained(vocabulary, schema, "responseFormat")
    for mark in '{"':
        constraint.accept(tokenizer.convert_tokens_to_ids(mark))
    back = tokenizer.convert_tokens_to_ids("\\")
    assert constraint.allowed(len(tokenizer))[back]
    constraint.accept(back)
    assert not constraint.allowed(len(tokenizer))[tokenizer.convert_tokens_to_ids("u")]


def constrained(vocabulary: Vocabulary, schema: str, field: str) -> Constraint:
    constraint = vocabulary.constrain(OutputFormat(schema, field))
    assert constraint is not None
    return constraint


@pytest.mark.parametrize("format_", ["date-time", "time", "duration"])
def test_times_have_a_bounded_number_of_digits(vocabulary: Vocabulary, tokenizer: Any, format_: str) -> None:
    """The greedy answer of a model that likes nothing better than another digit."""
    schema = json.dumps(read({"type": "string", "format": format_}))
    constraint = constrained(vocabulary, schema, "responseFormat")
    digit, text = tokenizer.convert_tokens_to_ids("1"), IncrementalDecoder(tokenizer)
    said = ""
    for _ in range(100):
        allowed = constraint.allowed(len(tokenizer))
        token = digit if allowed[digit] else int(np.flatnonzero(allowed)[0])
        said += text.push(token)
        if constraint.accept(token):
            break
    assert len(json.loads(said)) <= 60


def test_endless_numbers_and_nesting_end_the_answer(vocabulary: Vocabulary, tokenizer: Any) -> None:
    ids = {text: tokenizer.convert_tokens_to_ids(text) for text in ("1", "[", "e", "9")}

    def until_the_end(schema: Any, texts: str) -> tuple[int, str | None]:
        constraint = constrained(vocabulary, json.dumps(schema), "responseFormat")
        for number, text in enumerate(texts, 1):
            if end := constraint.accept(ids[text]):
                return number, end
        return 0, None

    assert until_the_end({"type": "integer"}, "1" * 5000) == (DIGITS + 1, "length")
    assert until_the_end({"type": "array"}, "[" * 5000) == (NESTED + 1, "length")
    assert until_the_end({"type": "number"}, "1e9999") == (5, "length")
    assert until_the_end({"type": "number"}, "1e99") == (0, None)


def test_bounds_ignore_quoted_text() -> None:
    assert ParserLimits().push(json.dumps(["[" * 500 + '\\"' + "9" * 500, {"1e999": "1e999"}]).encode())
    assert not ParserLimits().push(b"[1e999]")
    assert ParserLimits().push(b'{"a":-1.5e3,"b":[1,2,[true,false,null]]}')
    rng = random.Random(5)
    for _ in range(50):
        value = [rng.random() * 10 ** rng.randint(-300, 300), "\\" * rng.randint(0, 5) + '"', {"x": []}]
        data, bounds = json.dumps(value).encode(), ParserLimits()
        place = rng.randrange(len(data))
        assert bounds.push(data[:place])
        assert bounds.push(data[place:])
        assert (bounds._depth, bounds._quoted) == (0, False)


def test_a_compiled_schema_is_reused_without_shared_state(vocabulary: Vocabulary, tokenizer: Any) -> None:
    schema = json.dumps({"type": "array", "items": {"enum": [1]}})
    first = constrained(vocabulary, schema, "responseFormat")
    before = first.allowed(len(tokenizer))
    first.accept(tokenizer.convert_tokens_to_ids("["))
    second = constrained(vocabulary, schema, "responseFormat")
    assert (second.allowed(len(tokenizer)) == before).all()
    assert not (first.allowed(len(tokenizer)) == before).all()
    for number in range(40):
        constrained(vocabulary, json.dumps({"maxLength": number}), "responseFormat")
    assert len(vocabulary._compiled) <= 16


HEAVY: dict[str, Any] = {
    "repetitions of repetitions": {
        "type": "string",
        "pattern": "^(((a|b){1,900}x){1,900}){1,900}$",
        "maxLength": 900,
    },
    "alternatives that are alike": {
        "anyOf": [{"type": "array", "items": {"type": "array", "items": {"$ref": "#"}}} for _ in range(200)]
    },
    "many names": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(900)}},
}


@pytest.mark.parametrize("name", HEAVY)
def test_a_step_of_a_heavy_schema_is_bounded(vocabulary: Vocabulary, tokenizer: Any, name: str) -> None:
    def slowest() -> float:
        """Seconds of processor time of the slowest of 30 steps, with nothing known from before."""
        vocabulary._compiled.clear()
        constraint = constrained(vocabulary, json.dumps(read(HEAVY[name])), "responseFormat")
        chance, took, end = np.random.default_rng(5), [0.0], None
        while len(took) <= 30 and not end:
            began = time.process_time()
            try:
                allowed = np.flatnonzero(constraint.allowed(len(tokenizer)))
                end = constraint.accept(int(chance.choice(allowed)))
            except JobFailure:
                end = "length"  # it is over for this answer, in time
            took.append(time.process_time() - began)
        return max(took)

    # Where a machine has its processors from another one, what that takes of them may count as ours.
    assert any(slowest() < 1 for _ in range(3))


def test_an_unsatisfiable_constraint_is_reported(vocabulary: Vocabulary, tokenizer: Any) -> None:
    with pytest.raises(JobFailure, match="toolChoice cannot be enforced: "):
        constrained(vocabulary, '{"type": "string", "pattern": "(?=a)"}', "toolChoice")
    constraint = constrained(vocabulary, '{"type": "array"}', "responseFormat")
    with pytest.raises(JobFailure, match="responseFormat can no longer be enforced: "):
        constraint.accept(tokenizer.convert_tokens_to_ids("1"))


def test_a_tokenizer_without_known_bytes_is_refused() -> None:
    with pytest.raises(JobFailure, match="responseFormat cannot be enforced: this model's tokenizer"):
        Vocabulary.of(object(), [1])


def tool(name: str, **more: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"type": "integer", "maximum": 9}
    parameters = {
        "type": "object", "properties": {"n": whole}, "required": ["n"], "additionalProperties": False
    }  # fmt: skip
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


def called(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


RIGHT, WRONG = called("f", '{"n": 7}'), called("f", '{"n": "x"}')
STRICT, LOOSE = tool("f", strict=True), tool("f")
ANYTHING = "Hello {1} [2] <b> 1e999"
CALLS: dict[str, tuple[dict[str, Any], dict[str, bool]]] = {
    "strict": (
        {"tools": [STRICT]},
        {ANYTHING: True, RIGHT: True, f"{ANYTHING} {RIGHT}": True, f"{RIGHT}\n{RIGHT}": True, WRONG: False,
         f"{RIGHT} more": False, called("g", "{}"): False, "<tool_call>x": False, "": True},
    ),
    "strict, at most one": (
        {"tools": [STRICT], "parallelToolCalls": False},
        {ANYTHING: True, RIGHT: True, f"{RIGHT}\n{RIGHT}": False, WRONG: False},
    ),
    "at most one": (
        {"tools": [LOOSE], "parallelToolCalls": False},
        {ANYTHING: True, WRONG: True, RIGHT: True, f"{RIGHT}\n{RIGHT}": False, called("g", "{}"): False},
    ),
    "one of them strict": (
        {"tools": [STRICT, tool("g")]},
        {RIGHT: True, WRONG: False, called("g", '{"any": [1]}'): True, called("g", "7"): False},
    ),
    "required": (
        {"tools": [LOOSE], "toolChoice": "required"},
        {RIGHT: True, f"{RIGHT}\n{RIGHT}": False, WRONG: False, ANYTHING: False, "": False},
    ),
    "required, several": (
        {"tools": [LOOSE], "toolChoice": "required", "parallelToolCalls": True},
        {RIGHT: True, f"{RIGHT}\n{RIGHT}": True, f"{RIGHT}\n{WRONG}": False, ANYTHING: False},
    ),
    "one by its name": (
        {"tools": [LOOSE, tool("g")], "toolChoice": {"type": "function", "function": {"name": "g"}}},
        {called("g", '{"n": 1}'): True, RIGHT: False, called("g", '{"n": 10}'): False, ANYTHING: False},
    ),
}  # fmt: skip


def fits(vocabulary: Vocabulary, tokenizer: Any, body: dict[str, Any], text: str) -> bool:
    """Whether an answer to ``body`` may be ``text`` and end there."""
    wanted = format_of(body)
    assert wanted is not None
    constraint = vocabulary.constrain(wanted)
    assert constraint is not None
    ended = None
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        if ended or not constraint.allowed(len(tokenizer))[token]:
            return False
        ended = constraint.accept(token)
        assert ended != "length"
    return ended == "stop" or bool(constraint.allowed(len(tokenizer))[tokenizer.eos_token_id])


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_held_to_the_choice_and_to_strict_schemas(name: str) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = HERMES
    vocabulary = Vocabulary.of(tokenizer, [tokenizer.eos_token_id])
    body, answers = CALLS[name]
    for text, right in answers.items():
        assert fits(vocabulary, tokenizer, body, text) is right, text


def test_a_number_that_no_program_reads_ends_a_call() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = HERMES
    vocabulary = Vocabulary.of(tokenizer, [tokenizer.eos_token_id])
    wanted = format_of({"tools": [LOOSE], "parallelToolCalls": False})
    assert wanted is not None
    constraint = vocabulary.constrain(wanted)
    assert constraint is not None
    text = f"{'9' * 2 * DIGITS} " + called("f", f'{{"n": {"9" * 2 * DIGITS}}}')
    ends = [constraint.accept(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    assert ends.index("length") > 2 * DIGITS


def test_a_template_without_a_known_syntax_of_calls(vocabulary: Vocabulary) -> None:
    strict = format_of({"tools": [STRICT]})
    assert strict is not None
    with pytest.raises(JobFailure, match=r"^tools cannot be enforced: strict is only possible"):
        vocabulary.constrain(strict)
    one = format_of({"tools": [LOOSE], "parallelToolCalls": False})
    assert one is not None
    assert vocabulary.constrain(one) is None
    forced = format_of({"tools": [LOOSE], "toolChoice": "required"})
    assert forced is not None
    constraint = vocabulary.constrain(forced)
    assert constraint is not None
    assert not constraint.is_marked
