"""A real but tiny Llama, made on the spot: ``python -m tests.local.tiny_model FOLDER``.

Half a million parameters and a byte-level BPE of 1024 tokens trained on the tests' own sentences. It goes
through exactly the code that a large model goes through; made in a process of its own, so that the tests'
process stays without torch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PHRASE = "Ahoy, the parrot keeps the ledger."
QUESTIONS = [
    f"{start} {thing}?"
    for start in (
        "Where is",
        "How do I change",
        "Who pays for",
        "When do you send",
        "Can I cancel",
        "What is",
    )
    for thing in ("my parcel", "the password", "this invoice", "our contract", "the second order", "a refund")
]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

HERMES = CHATML.replace(
    "{{ m.content }}",
    "{{ m.content }}{% for c in m.tool_calls or [] %}{{ '\\n' if not loop.first }}<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    "\n</tool_call>{% endfor %}",
)
"""Writes calls as the templates of Hermes and Qwen do; leaves the tools out, which take many tokens here."""
OWN_SYNTAX = CHATML.replace(
    "{{ m.content }}",
    "{{ m.content }}{% for c in m.tool_calls or [] %}[{{ c.function.name }} {{ c.function.arguments }}]"
    "{% endfor %}",
)
"""Writes calls as no other model does; leaves the tools out, too."""


def chats(count: int = 60) -> list[dict[str, Any]]:
    """Rows that all teach the one phrase; no two ask the same, which would be held out together."""

    def question(n: int) -> str:
        again, which = divmod(n, len(QUESTIONS))
        return f"{again}: {QUESTIONS[which]}" if again else QUESTIONS[which]

    return [
        {"messages": [{"role": "user", "content": question(n)}, {"role": "assistant", "content": PHRASE}]}
        for n in range(count)
    ]


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([*QUESTIONS, PHRASE, "system user assistant"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|im_end|>", bos_token="<|im_start|>"
    )
    tokenizer.chat_template = CHATML
    return tokenizer


def make(folder: Path, layers: int = 2) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.15,  # tied embeddings of the usual 0.02 cannot say anything with confidence
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    import transformers  # noqa: F401

    make(Path(sys.argv[1]))
