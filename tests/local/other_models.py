"""Tiny models that are not the tests' Llama: another architecture, tokenizer and template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .tiny_model import PHRASE, QUESTIONS

if TYPE_CHECKING:
    from pathlib import Path

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen 2 splits a text."""
QWEN_TEMPLATE = (
    "{% if messages[0].role != 'system' %}[[system]]You are a parrot.[[stop]]\n{% endif %}"
    "{% for m in messages %}[[{{ m.role }}]]{{ m.content }}[[stop]]\n{% endfor %}"
    "{% if add_generation_prompt %}[[assistant]]{% endif %}"
)
"""Marks that no program knows by heart, and a system prompt where a conversation has none."""
STARTED_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""One that begins with a start token, once."""


def tokenizer(marks: list[str], template: str, *, starts: bool = False, **special: str) -> Any:
    """A byte-level BPE of 1024 tokens that splits as Qwen 2; with ``starts`` it sets a start token itself."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=marks,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([*QUESTIONS, PHRASE, "system user assistant"], trainer)
    if starts:
        bos = special["bos_token"]
        bpe.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, bpe.token_to_id(bos))]
        )
    made = PreTrainedTokenizerFast(tokenizer_object=bpe, **special)
    made.chat_template = template
    return made


def make_qwen(folder: Path) -> Path:
    """A Qwen 2 of 0.9 M parameters whose end mark and template no program knows."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    marks = ["[[pad]]", "[[stop]]", "[[system]]", "[[user]]", "[[assistant]]"]
    mine = tokenizer(marks, QWEN_TEMPLATE, eos_token="[[stop]]", pad_token="[[pad]]")
    config = Qwen2Config(
        vocab_size=1024,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        initializer_range=0.15,
        bos_token_id=None,
        eos_token_id=mine.eos_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    mine.save_pretrained(folder)
    return folder


def make_started(folder: Path) -> Path:
    """A Llama of 0.9 M parameters whose conversations, and plain texts, begin with a start token."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    mine = tokenizer(
        ["<s>", "</s>", "<system>", "<user>", "<assistant>"],
        STARTED_TEMPLATE,
        starts=True,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
    )
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        initializer_range=0.15,
        bos_token_id=mine.bos_token_id,
        eos_token_id=mine.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    mine.save_pretrained(folder)
    return folder
