"""The sandboxed child process in which llama.cpp loads an exported file and generates.

Writes to a file the log probabilities of all tokens at each learned position of the texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.local.gguf.limited import limit_memory
from arkor_dev.local.workers.codec import Codec
from arkor_dev.local.workers.link import serve
from arkor_dev.local.workers.resources import available_cores

from .messages import EmbeddedByLlama, EmbedWithLlama, ReadByLlama, ReadWithLlama

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from arkor_dev.local.workers.link import Link

    from .messages import VocabularyFacts

LOG_PROBABILITIES: Final = "likely.npy"
IGNORED: Final = -100
"""Label of a token that is not learned, as in training."""


class LlamaModel:
    """A model in llama.cpp, with or without an adapter."""

    def __init__(self, model: str, lora: str | None, longest: int) -> None:
        from llama_cpp import Llama

        adapter = {} if lora is None else {"lora_path": lora, "lora_scale": 1.0}
        threads = available_cores()
        self.llama = Llama(
            model_path=model,
            n_ctx=longest,
            n_batch=longest,
            n_ubatch=longest,
            n_threads=threads,
            n_threads_batch=threads,
            n_gpu_layers=0,
            logits_all=True,
            verbose=False,
            **adapter,
        )

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the next-token logits after each token: ``[tokens, vocabulary]``."""
        self.llama.reset()
        self.llama.eval(list(ids))
        scores: NDArray[np.float32] = self.llama.scores[: len(ids)]
        return scores

    def answer(self, prompt: Sequence[int], ends: set[int], most: int) -> list[int]:
        """Return the greedy answer, including its end token."""
        tokens: list[int] = []
        self.llama.reset()
        self.llama.eval(list(prompt))
        while len(tokens) < most:
            tokens.append(int(self.llama.scores[self.llama.n_tokens - 1].argmax()))
            if tokens[-1] in ends:
                break
            self.llama.eval(tokens[-1:])
        return tokens


def evaluate(request: ReadWithLlama, progress: Callable[[float, float], None]) -> ReadByLlama:
    """Read every text and answer every prompt of ``request``."""
    import numpy as np

    from arkor_dev.local.gguf.llama_vocabulary import quiet, vocabulary_of

    quiet()
    texts, prompts, most = request.texts, request.prompts, request.answer_tokens
    longest = max(len(ids) for ids in (*(text["ids"] for text in texts), *prompts)) + most
    reader = LlamaModel(str(request.model), str(request.lora) if request.lora else None, longest)
    learned = [[row for row, label in enumerate(text["labels"][1:]) if label != IGNORED] for text in texts]
    total, size = len(texts) + len(prompts), reader.llama.n_vocab()
    log_probabilities = np.lib.format.open_memmap(
        request.out / LOG_PROBABILITIES, "w+", np.float32, (sum(map(len, learned)), size)
    )
    row = 0
    for number, (text, positions) in enumerate(zip(texts, learned, strict=True)):
        progress(number, total)
        logits = reader.logits(text["ids"])[positions].astype(np.float64)
        logits -= logits.max(-1, keepdims=True)
        log_probabilities[row : row + len(positions)] = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        row += len(positions)
    log_probabilities.flush()
    answers = []
    for number, prompt in enumerate(prompts, len(texts)):
        progress(number, total)
        answers.append(reader.answer(prompt, set(request.ends), most))
    with vocabulary_of(request.model) as vocabulary:
        vocabulary_facts: VocabularyFacts = {
            "size": size,
            "template": vocabulary.template,
            "addsStart": vocabulary.adds_start,
            "noEnds": [token for token in request.ends if not vocabulary.ends(token)],
            "tokens": [vocabulary.tokens(text, add_special=False) for text in request.conversations],
        }
    return ReadByLlama(answers, vocabulary_facts)


def embed(request: EmbedWithLlama) -> EmbeddedByLlama:
    """Embed every text of ``request``."""
    import numpy as np
    from llama_cpp import Llama

    from arkor_dev.local.gguf.llama_vocabulary import quiet

    quiet()
    llama = Llama(
        model_path=str(request.model),
        embedding=True,
        n_ctx=0,
        n_threads=available_cores(),
        n_threads_batch=available_cores(),
        n_gpu_layers=0,
        verbose=False,
    )
    vectors = [llama.embed(text, normalize=True) for text in request.texts]
    np.save(request.out, np.array(vectors, np.float32), allow_pickle=False)
    return EmbeddedByLlama()


def main() -> None:
    serve(
        Codec[ReadWithLlama | EmbedWithLlama](ReadWithLlama, EmbedWithLlama),
        _serve,
        lambda error: f"llama.cpp cannot use the exported file: {type(error).__name__}: {str(error)[:300]}",
    )


def _serve(request: ReadWithLlama | EmbedWithLlama, link: Link) -> ReadByLlama | EmbeddedByLlama:
    limit_memory(request.memory)
    if isinstance(request, EmbedWithLlama):
        return embed(request)
    subject = request.subject

    def progress(done: float, total: float) -> None:
        link.progress(f"Testing {subject}", done, total, "questions")

    return evaluate(request, progress)


if __name__ == "__main__":
    main()
