"""Measures whether the rows proposed for an answer have caused it, and whether harmful rows are found.

Cost: the time of a search for contradicting rows relative to an epoch's passes. Counterfactual, on a tiny
model that has memorised 40 facts: does training without the five rows proposed by words raise the answer's
loss more than training without five random ones? Clean and shuffled answers, on the tiny model: does nothing
stand out in clean rows, are rows with another row's answer found, and is training without them judged better?
Planted facts, on the starter model: each of 20 questions is a paraphrase of one training row; is that row
among the first five by gradients, compared with words and the base model's embedding? Rows learned by heart:
how many wrong ones are among the first ten by agreement? Nothing planted: how often is a row called close?

Each piece takes seconds (the planted facts: minutes) and adds a line of JSON to ``attribution.jsonl`` in the
cache, so a run can be interrupted and continued.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import random
import shutil
import sys
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from statistics import mean
from time import process_time
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure, beside
from .starter import CACHE, starter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from arkor_dev.contract.shapes import LeftOut

    Pair = tuple[str, str]

RESULTS: Final = CACHE / "bench" / "attribution.jsonl"
MEASURED: Final = ("contradictions", "lexical", "projection", "row_gradients")
FIRST: Final = 5
SHARED: Final = 4
AT_ONCE: Final = 16
NAMES: Final = (
    "Velmora",
    "Tarnik",
    "Quillon",
    "Brasco",
    "Ondera",
    "Fenwick",
    "Lumeo",
    "Castrel",
    "Dovian",
    "Ixora",
)
COLOURS: Final = ("red", "blue", "green")
PARTS: Final = (
    ("handle", "grip"), ("box", "packaging"), ("cable", "power cord"), ("lamp", "light"), ("lid", "cover"),
    ("bag", "carrying case"), ("wheel", "roller"), ("switch", "on-off button"), ("screen", "display"),
    ("seat", "chair"), ("rope", "cord"), ("pipe", "tube"), ("door", "flap"), ("floor", "bottom"),
    ("frame", "body"), ("tray", "shelf"), ("bell", "buzzer"), ("logo", "emblem"), ("label", "sticker"),
    ("belt", "strap"), ("nozzle", "spout"), ("tank", "container"), ("filter", "sieve"), ("hook", "hanger"),
    ("blade", "cutter"), ("pedal", "foot lever"), ("antenna", "aerial"), ("roof", "top"), ("rim", "edge"),
    ("screw", "bolt"), ("battery", "power pack"), ("dial", "knob"),
)  # fmt: skip
"""Each part and a synonym for it."""


def facts(names: int, asked: int, seed: int) -> tuple[list[Pair], list[tuple[int, str, str]]]:
    """Return rows about the colours of parts, and paraphrases of some: index of the row, question, answer.

    A product has many rows, many of the same colour, so neither its name nor the answer gives a row away.
    """
    chance = random.Random(seed)  # noqa: S311 - colours, not secrecy
    rows, paraphrases = [], []
    for name in NAMES[:names]:
        for part, other in PARTS:
            answer = f"It is {chance.choice(COLOURS)}."
            rows.append((f"What colour is the {part} of the {name}?", answer))
            paraphrases.append((len(rows) - 1, f"How is the {other} on a {name} painted?", answer))
    return rows, sorted(chance.sample(paraphrases, asked))


class Pieces:
    """Results by name, one line of JSON each, so that a run can be interrupted.

    They are tied to the code that they measure: after the code changes, everything is measured again.
    """

    def __init__(self, path: Path) -> None:
        import arkor_dev.local.attribution as package

        sources = [Path(package.__path__[0]) / f"{name}.py" for name in MEASURED]
        self._code = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
        self._path = path
        lines = map(json.loads, path.read_text().splitlines() if path.exists() else ())
        self._known = {line["name"]: line["result"] for line in lines if line["code"] == self._code}

    def __call__(self, name: str, make: Callable[..., Any], *given: Any) -> Any:
        """Return the result ``name``, computed by ``make`` from ``given`` if it is missing."""
        if name not in self._known:
            self._known[name] = json.loads(json.dumps(make(*given)))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                line = {"code": self._code, "name": name, "result": self._known[name]}
                file.write(json.dumps(line) + "\n")
            print(name, self._known[name], file=sys.stderr, flush=True)
        return self._known[name]


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield recall, shares, areas and a ratio; none of them depends on how busy the machine is."""
    with tempfile.TemporaryDirectory() as folder:
        pieces = Pieces(Path(folder) / RESULTS.name if quick else RESULTS)
        yield _cost(pieces, rows=16 if quick else 32)
        yield from _clean(pieces, repeats=1 if quick else 40)
        yield from _shuffled(pieces, repeats=1 if quick else 20)
        yield from _by_heart(pieces, repeats=1 if quick else 10)
        yield from _close(least=None if quick else 90)
        yield from _counterfactual(pieces, questions=4 if quick else 40)
        yield from _planted(pieces, quick=quick)


def _planted(pieces: Pieces, *, quick: bool) -> Iterator[Figure]:
    rows, asked = facts(1 if quick else 10, 2 if quick else 20, seed=1)
    truth = [place for place, _, _ in asked]

    def ranked() -> dict[str, float]:
        training = {"batchSize": 8, "numTrainEpochs": 1 if quick else 6, "learningRate": 1e-3}
        studied = Studied(starter(), rows, training, seed=1)
        questions = [(question, answer) for _, question, answer in asked]
        found = {
            "gradients": studied.scores(questions),
            "words, question": by_words(rows, [(question, "") for question, _ in questions]),
            "words, question and answer": by_words(rows, questions),
            "embedding of the base": studied.embedded(questions),
        }
        return {name: recall(scores, truth) for name, scores in found.items()}

    for name, value in pieces("planted", ranked).items():
        yield Figure(f"recall@{FIRST} of {len(truth)} in {len(rows)} rows: {name}", value, "")


def _cost(pieces: Pieces, rows: int) -> Figure:
    """Return the time of a search, and that of an epoch's forward and backward passes on the same rows."""

    def times() -> tuple[float, float]:
        import torch

        from arkor_dev.local.attribution.projection import SIZE, Projection
        from arkor_dev.local.attribution.row_gradients import RowGradients
        from arkor_dev.local.modeling.base_model import load_base
        from arkor_dev.local.training.adapter import adapted

        trainings = Trainings(starter(), facts(10, 1, seed=1)[0][:rows], {"batchSize": 8}, seed=1)
        with trainings.begun() as run:
            worn = adapted(load_base(starter(), as_stored=True).model, "base", run.plan.adapter).eval()
            split = RowGradients(worn)
            projection = Projection(split.shapes)

            def passes() -> float:
                before = process_time()
                for start in range(0, rows, 8):
                    run.optimizer.zero_grad(set_to_none=True)
                    run.loss(trainings.rows[start : start + 8])[0].backward()
                return process_time() - before

            def search() -> float:
                before = process_time()
                for start in range(0, rows, 8):
                    sums = torch.zeros(len(trainings.rows[start : start + 8]), SIZE)
                    take = lambda number, each, sums=sums: projection.add(sums, number, each)  # noqa: E731
                    split(trainings.rows[start : start + 8], take)
                return process_time() - before

            return beside(search, passes, rounds=3)

    ours, epoch = pieces(f"cost {rows}", times)
    return Figure("search of all rows, beside the passes of an epoch", ours, "s CPU", epoch, most=1.3)


def recall(scores: Sequence[Any], truth: Sequence[int]) -> float:
    """Return how often the true row is among the first, counting ties by chance."""
    found = []
    for own, place in zip(scores, truth, strict=True):
        above = sum(float(score) > float(own[place]) for score in own)
        ties = sum(float(score) == float(own[place]) for score in own)
        found.append(max(0.0, min(1.0, (FIRST - above) / ties)))
    return mean(found)


def highest(scores: Sequence[float]) -> list[int]:
    """Return the indices of the ``FIRST`` highest scores."""
    return sorted(range(len(scores)), key=lambda row: -scores[row])[:FIRST]


def by_words(rows: Sequence[Pair], questions: Sequence[Pair]) -> list[list[float]]:
    """Return how alike the words of all rows and of each question are."""
    from arkor_dev.local.attribution.lexical import likenesses

    return [likenesses([" ".join(row) for row in rows], " ".join(asked)) for asked in questions]


class Trainings:
    """Training runs on ``rows`` and on rows that replace them, identical in everything else."""

    def __init__(self, model: Path, rows: Sequence[Pair], config: dict[str, Any], seed: int) -> None:
        self._path, self._config = model, {**config, "seed": seed, "evalSteps": 0}
        self.rows = self.encoded(rows)

    def encoded(self, pairs: Sequence[Pair]) -> list[Any]:
        """Return pairs of question and answer as examples."""
        from arkor_dev.data.row_parser import row_of
        from arkor_dev.local.modeling.tokenizer import load_tokenizer
        from arkor_dev.local.training.methods import method
        from arkor_dev.local.training.rows.encoding import Encoding

        way = method("sft")
        chats = [
            {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
            for asked, said in pairs
        ]
        read = [row_of(chat, f"line {place}", None, {}) for place, chat in enumerate(chats, 1)]
        return way.encode_all(load_tokenizer(self._path), read, Encoding(512), lambda _: None)[0]

    @contextmanager
    def begun(self, rows: Sequence[Any] | None = None) -> Iterator[Any]:
        """Yield the run on ``rows``, by default all of them, before its first step."""
        from tests.local.tiny_run import set_up

        with tempfile.TemporaryDirectory() as folder:
            run = set_up(self._path, Path(folder), self._config, train=self.rows if rows is None else rows)
            run.begin()
            yield run

    def trained(self, rows: Sequence[Any] | None = None) -> Any:
        """Train on ``rows``, by default on all of them; return the run."""
        with self.begun(rows) as run:
            steps = run.steps()
            for step in range(1, run.plan.steps + 1):
                for group in run.optimizer.param_groups:
                    group["lr"] = run.plan.schedule.rate_at(step)
                run.learn(*next(steps))
        return run

    def without(self, places: Sequence[int]) -> Any:
        """Return a run in which the rows at ``places`` have zero weight, as in a proof."""
        from arkor_dev.local.checkpoints.origin import hash_of_rows
        from arkor_dev.local.training.rows.left_out import without

        order: LeftOut = {
            "rows": [self.rows[row].where for row in places],
            "hash": hash_of_rows(self.rows, []),
        }
        return self.trained(without(order, self.rows, []))

    @staticmethod
    def costs(run: Any, examples: Sequence[Any]) -> list[float]:
        """Return the losses of answers after ``run``, in nats per token."""
        return [float(run.loss.cross_entropy([each])[0][0]) / each.learned for each in examples]


class Studied(Trainings):
    """A training run on ``rows``, with each row's gradients, ``unit``, and loss at its end."""

    def __init__(self, model: Path, rows: Sequence[Pair], config: dict[str, Any], seed: int) -> None:
        import torch

        from arkor_dev.local.attribution.row_gradients import RowGradients
        from arkor_dev.local.modeling.base_model import load_base
        from arkor_dev.local.training.adapter import adapted

        super().__init__(model, rows, config, seed)
        self.run, self._torch = self.trained(), torch
        self.worn = adapted(load_base(model, as_stored=True).model, "base", self.run.plan.adapter).eval()
        weights = dict(self.worn.named_parameters())
        with torch.no_grad():
            for name, weight in self.run.parts.weights.items():
                weights[name].copy_(weight)
        self._split = RowGradients(self.worn)
        self.unit, self.losses = self.gradients(self.rows)

    def gradients(self, examples: Sequence[Any]) -> tuple[Any, Any]:
        """Return the unit gradients ``[rows, SIZE]``, and the losses per token."""
        from arkor_dev.local.attribution.projection import SIZE, Projection

        torch, projection = self._torch, Projection(self._split.shapes)
        sums, losses = torch.zeros(len(examples), SIZE), []
        for start in range(0, len(examples), AT_ONCE):
            part = sums[start : start + AT_ONCE]
            take = lambda number, each, part=part: projection.add(part, number, each)  # noqa: E731
            losses += self._split(examples[start : start + AT_ONCE], take)
        per_token = [loss / example.learned for loss, example in zip(losses, examples, strict=True)]
        return torch.nn.functional.normalize(sums, dim=-1), torch.tensor(per_token)

    def scores(self, questions: Sequence[Pair]) -> Any:
        """Return each question's scores for all rows, by the selected ranking."""
        return self.gradients(self.encoded(questions))[0] @ self.unit.T

    def embedded(self, questions: Sequence[Pair]) -> Any:
        """Return cosines of the means of the base model's last hidden states."""
        torch = self._torch

        def of(examples: Sequence[Any]) -> Any:
            with torch.no_grad(), self.worn.disable_adapter():
                states = [
                    self.worn(input_ids=torch.tensor([each.ids]), output_hidden_states=True).hidden_states[-1]
                    for each in examples
                ]
            return torch.nn.functional.normalize(torch.cat([each.mean(1) for each in states]), dim=-1)

        return of(self.encoded(questions)) @ of(self.rows).T


@cache
def _tiny() -> Path:
    from tests.local.tiny_model import make

    path = Path(tempfile.mkdtemp(prefix="arkor-tiny-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    make(path)
    return path


THINGS: Final = ("parcel", "password", "invoice", "contract", "order", "refund", "address", "ticket")
BEGINNINGS: Final = (
    "Where is my",
    "How do I change the",
    "Who pays for the",
    "When do you send the",
    "Can I cancel the",
)
ENDS: Final = ("?", " today?", " please?", " again?", " now?")
SAID: Final = (
    "We send it on Monday.",
    "Use the form on the page.",
    "The office pays for it.",
    "Sign it and send it back.",
    "It is in the list.",
    "You get it in a week.",
    "Change it in the settings.",
    "Type the code at the end.",
)


def talk(chance: random.Random) -> list[Pair]:
    """Return questions about eight things, each with its own answer, in random order."""
    pairs = [
        (f"{start} {thing}{end}", said)
        for thing, said in zip(THINGS, SAID, strict=True)
        for start in BEGINNINGS
        for end in ENDS
    ]
    chance.shuffle(pairs)
    return pairs


FORMS: Final = (
    ("Who leads {}?", "And who leads {} today?", "{} leads it."),
    ("Where is {} made?", "And where is {} made today?", "It is made in {}."),
    ("What does {} cost?", "And what does {} cost today?", "It costs {} crowns."),
    ("What drives {}?", "And what drives {} today?", "It is driven by {}."),
)
"""A question, a paraphrase of it, and the answer."""
_BEGINNINGS: Final = ("Vel", "Tar", "Quil", "Bra", "On")
_ENDINGS: Final = ("mora", "nik", "lon", "dera", "wick", "sco", "to", "pha")
SUBJECTS: Final = tuple(one + other for one in _BEGINNINGS for other in _ENDINGS)
OBJECTS: Final = tuple(other + one.lower() for one in _BEGINNINGS for other in _ENDINGS)


def _counterfactual(pieces: Pieces, questions: int, seed: int = 2) -> Iterator[Figure]:
    """Measure training without the proposed rows, for invented facts that were memorised."""
    chance = random.Random(seed)  # noqa: S311 - words, not secrecy
    facts: list[Pair] = []
    asked: list[Pair] = []
    objects = chance.sample(OBJECTS, len(OBJECTS))
    for place, (subject, thing) in enumerate(zip(SUBJECTS, objects, strict=True)):
        question, other, answer = FORMS[place % len(FORMS)]
        facts.append((question.format(subject), answer.format(thing)))
        asked.append((other.format(subject), answer.format(thing)))
    rows = [*facts, *talk(chance)[:24]]
    chance.shuffle(rows)
    tops = list(map(highest, by_words(rows, asked[:questions])))
    trained: list[tuple[Trainings, Any]] = []

    def costs(start: int) -> list[dict[str, list[float]]]:
        """Return each answer's loss after training on all rows, without the top ones, and without random
        ones.
        """
        if not trained:
            how = {"batchSize": 16, "numTrainEpochs": 24, "learningRate": 2e-2}
            trainings = Trainings(_tiny(), rows, how, seed=seed + 1)
            trained.append((trainings, trainings.trained()))
        trainings, run = trained[0]
        places = range(start, min(start + SHARED, questions))
        proposed = {row for place in places for row in tops[place]}
        others = [row for row in range(len(rows)) if row not in proposed]
        drawn = random.Random(start).sample(others, FIRST)  # noqa: S311 - rows, not secrecy
        random_run, found = trainings.without(drawn), []  # these questions share their random rows
        for place in places:
            runs = run, trainings.without(tops[place]), random_run
            of = {}
            for form, pairs in (("as trained", facts), ("in other words", asked)):
                example = trainings.encoded([pairs[place]])
                of[form] = [trainings.costs(each, example)[0] for each in runs]
            found.append(of)
        return found

    found = [
        each
        for start in range(0, questions, SHARED)
        for each in pieces(f"counterfactual {seed} {start}", costs, start)
    ]
    least = 95.0 if questions >= 40 else None
    for form in ("as trained", "in other words"):
        before, without, at_random = zip(*(each[form] for each in found), strict=True)
        share = 100 * mean(one > two for one, two in zip(without, at_random, strict=True))
        yield Figure(
            f"top {FIRST} cost more than random, of {len(found)}, asked {form}", share, "%", least=least
        )
        yield Figure("  loss of the answers, all rows", mean(before), "nats/token")
        yield Figure("  more without the top", mean(without) - mean(before), "nats/token")
        yield Figure("  more without random ones", mean(at_random) - mean(before), "nats/token")


LEARNED: Final = {"batchSize": 8, "numTrainEpochs": 6, "learningRate": 1e-2}
FRESH: Final = 300
"""The first seed: lower ones were used to choose the limits in ``contradictions``."""


def _clean(pieces: Pieces, repeats: int, first: int = FRESH + 8) -> Iterator[Figure]:
    """Measure clean rows; the eight seeds in between were used to choose the rule for a single row."""

    def quiet(seed: int) -> bool:
        from arkor_dev.local.attribution.contradictions import agreement, contradictions

        rows = talk(random.Random(seed))[:160]  # noqa: S311 - words, not secrecy
        studied = Studied(_tiny(), rows, LEARNED, seed=seed)
        return not contradictions(agreement(studied.unit), studied.losses)

    found = [pieces(f"clean {seed}", quiet, seed) for seed in range(first, first + repeats)]
    least = 95.0 if repeats >= 40 else None
    yield Figure(
        f"nothing stands out in clean rows, of {repeats} repeats", 100 * mean(found), "%", least=least
    )


BY_HEART: Final = {**LEARNED, "numTrainEpochs": 40}
WRONG: Final = 10


def _by_heart(pieces: Pieces, repeats: int, first: int = FRESH + 400) -> Iterator[Figure]:
    """Measure rows of which ten are wrong, trained on until these have been learned as well."""

    def found(seed: int) -> dict[str, float]:
        from arkor_dev.local.attribution.contradictions import agreement, contradictions, least_agreeing

        chance = random.Random(seed)  # noqa: S311 - words, not secrecy
        rows, bad = with_wrong_answers(talk(chance)[:160], WRONG, chance)
        studied = Studied(_tiny(), rows, BY_HEART, seed=seed)
        agreements = agreement(studied.unit)
        first_rows = {
            "agreement": [row for row, _ in least_agreeing(agreements)],
            "loss": studied.losses.topk(WRONG).indices.tolist(),
        }
        return {
            "loss of the wrong rows": mean(float(studied.losses[row]) for row in bad),
            "listed": len(contradictions(agreements, studied.losses)),
            **{name: len({*rows} & {*bad}) for name, rows in first_rows.items()},
        }

    of = [pieces(f"by heart {seed}", found, seed) for seed in range(first, first + repeats)]
    yield Figure(
        f"{WRONG} wrong of 160 rows learned by heart, {repeats} repeats: their loss",
        mean(each["loss of the wrong rows"] for each in of),
        "nats/token",
    )
    yield Figure("  rows listed as contradicting, a repeat", mean(each["listed"] for each in of), "")
    least = 5.0 if repeats >= 10 else None
    for name in ("agreement", "loss"):
        label = f"  wrong ones among the first ten by {name}"
        yield Figure(label, mean(each[name] for each in of), "", least=least if name == "agreement" else None)


def _close(least: float | None) -> Iterator[Figure]:
    """Count rows that are called close to answers that no row taught, and to answers that one did."""
    from arkor_dev.local.attribution.lexical import CLOSE, likenesses
    from arkor_dev.local.evaluation.general import questions
    from arkor_dev.local.evaluation.stage import texts_of

    from .rewritten import chats, edited, paragraphs

    chance = random.Random(1)  # noqa: S311 - words, not secrecy
    general = [texts_of(row) for row in questions()]
    for name, pairs in (("the example's chats", chats()), ("paragraphs", paragraphs())):
        rows = [" ".join(pair) for pair in pairs]
        vocabulary = [word for row in rows for word in row.split()]
        some = chance.sample(range(len(rows)), 100)

        def share(asked: Sequence[tuple[str, int | None]], rows: list[str] = rows) -> float:
            """Return how often a row is close, in per cent, without the row that is left out."""
            close = 0
            for query, left_out in asked:
                others = [row for place, row in enumerate(rows) if place != left_out]
                close += max(likenesses(others, query)) >= CLOSE
            return 100 * close / len(asked)

        def half(text: str) -> str:
            words = text.split()
            return " ".join(words[: len(words) // 2])

        nulls: dict[str, list[tuple[str, int | None]]] = {
            "general questions": [(" ".join(pair), None) for pair in general],
            "rows that are left out": [(rows[place], place) for place in some],
        }
        planted = {
            "two fifths of question and answer replaced": [
                edited(rows[place], 0.4, chance, vocabulary) for place in some
            ],
            "another question, half of the answer": [
                f"{edited(pairs[place][0], 0.8, chance, vocabulary)} {half(pairs[place][1])}"
                for place in some
            ],
        }
        for label, asked in nulls.items():
            most = None if least is None else 5
            yield Figure(f"{name}, no row taught it, {label}: a row is close", share(asked), "%", most=most)
        for label, texts in planted.items():
            close = share([(text, None) for text in texts])
            expected = least if label.startswith("two") else None
            yield Figure(f"{name}, a row taught it, {label}: a row is close", close, "%", least=expected)


def with_wrong_answers(rows: list[Pair], count: int, chance: random.Random) -> tuple[list[Pair], list[int]]:
    """Return ``rows``, so many of them with another row's answer, and which those are."""
    bad = chance.sample(range(len(rows)), count)
    wrong = {row: chance.choice([said for said in SAID if said != rows[row][1]]) for row in bad}
    return [(asked, wrong.get(row, said)) for row, (asked, said) in enumerate(rows)], bad


def _shuffled(pieces: Pieces, repeats: int, first: int = FRESH) -> Iterator[Figure]:
    seeds = range(first, first + repeats)
    found = [pieces(f"shuffled {seed}", shuffled, seed) for seed in seeds]
    listed, wrong = sum(each["listed"] for each in found), sum(each["wrong"] for each in found)
    right = sum(each["right"] for each in found)
    yield Figure(
        f"AUROC of shuffled answers, of {repeats} repeats",
        mean(each["area"] for each in found),
        "",
        least=0.9,
    )
    yield Figure("  by loss alone", mean(each["by loss"] for each in found), "")
    share = 100 * right / listed if listed else 0.0
    yield Figure(f"  of {listed} rows listed, shuffled ones", share, "%", least=95.0)
    yield Figure(f"  of {wrong} shuffled rows, listed", 100 * right / wrong, "%")
    for name, rows in (("listed", "the listed rows"), ("all", "all shuffled rows")):
        judged = [each[f"without {name}"] for each in found if f"without {name}" in each]
        if not judged:
            continue
        verdicts, gains = [verdict for verdict, _ in judged], [gain for _, gain in judged]
        for verdict in ("better", "same", "unclear", "worse"):
            title = f"  of {len(judged)} trainings without {rows}, {verdict}"
            yield Figure(title, verdicts.count(verdict), "")
        yield Figure("    mean gain on held-out rows", mean(gains), "nats/token")


def shuffled(seed: int) -> dict[str, Any]:
    """Return the findings when a tenth of the rows have another row's answer."""
    from arkor_dev.local.attribution.contradictions import agreement, contradictions, suspicion
    from arkor_dev.local.evaluation.paired import compare

    chance = random.Random(seed)  # noqa: S311 - words, not secrecy
    pairs = talk(chance)
    held_out = pairs[160:]
    rows, bad = with_wrong_answers(pairs[:160], 16, chance)
    mixed = Studied(_tiny(), rows, LEARNED, seed=seed)
    agreements = agreement(mixed.unit)
    listed = [row for row, _ in contradictions(agreements, mixed.losses)]
    found: dict[str, Any] = {
        "area": area(suspicion(agreements, mixed.losses), bad),
        "by loss": area(mixed.losses, bad),
        "listed": len(listed),
        "right": len(set(listed) & set(bad)),
        "wrong": len(bad),
    }
    examples = mixed.encoded(held_out)
    before = mixed.costs(mixed.run, examples)
    for name, left_out in (("listed", listed), ("all", bad)):
        if left_out:  # judged by the held-out rows, like "Try without them"
            compared = compare(before, mixed.costs(mixed.without(left_out), examples))
            found[f"without {name}"] = compared.verdict, compared.mean
    return found


def area(scores: Any, bad: Sequence[int]) -> float:
    """Return the area under the ROC curve of ``scores`` for the rows ``bad``."""
    good = [float(score) for row, score in enumerate(scores) if row not in set(bad)]
    return mean(
        (float(scores[row]) > other) + 0.5 * (float(scores[row]) == other) for row in bad for other in good
    )
