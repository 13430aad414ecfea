"""Whether the rows named behind an answer are the ones behind it.

Planted facts, on the starter model: each of 20 questions is a paraphrase of one training row; is that row
among the first five by gradients, beside BM25 and the base model's embedding? Counterfactual, on a tiny
model that has learned 40 facts by heart: does training without the five rows proposed by words cost the
answer more than without five random ones? And shuffled answers, on the tiny model: are rows with another
row's answer found, is a training without them judged better, and does nothing stand out in clean rows?
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from statistics import mean
from time import process_time
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure
from .starter import starter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Pair = tuple[str, str]

FIRST: Final = 5
SHARED: Final = 4
POINTS: Final = 3
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
"""Each part and another word for it."""


def facts(names: int, asked: int, seed: int) -> tuple[list[Pair], list[tuple[int, str, str]]]:
    """Return rows about the colours of parts, and paraphrases of some: place of the row, question, answer.

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


def measure(*, quick: bool) -> Iterator[Figure]:
    """Recall, shares and areas; none of them depends on how busy the machine is."""
    yield from _planted(quick=quick)
    yield from _counterfactual(questions=4 if quick else 40)
    yield from _clean(repeats=1 if quick else 40)
    yield from _shuffled(repeats=1 if quick else 40)


def _planted(*, quick: bool) -> Iterator[Figure]:
    rows, asked = facts(1 if quick else 10, 2 if quick else 20, seed=1)
    training = {"batchSize": 8, "numTrainEpochs": 1 if quick else 6, "learningRate": 1e-3}
    studied = Studied(starter(), rows, training, seed=1)
    yield _cost(studied, training["numTrainEpochs"])
    questions = [(question, answer) for _, question, answer in asked]
    truth = [place for place, _, _ in asked]
    found = {
        "gradients": studied.scores(questions),
        "BM25, question": by_words(rows, [(question, "") for question, _ in questions]),
        "BM25, question and answer": by_words(rows, questions),
        "embedding of the base": studied.embedded(questions),
    }
    recalls = {name: recall(scores, truth) for name, scores in found.items()}
    for name, value in recalls.items():  # rows are proposed by words: gradients would have to find more
        yield Figure(f"recall@{FIRST} of {len(truth)} in {len(rows)} rows: {name}", value, "")


def _cost(studied: Studied, epochs: float) -> Figure:
    """Return the time of all gradients at one point of a training, beside that of an epoch."""
    pass_seconds, epoch = studied.gradient_seconds / POINTS, studied.training_seconds / epochs
    return Figure(
        "gradients of all rows, beside an epoch of training", pass_seconds, "s CPU", epoch, most=1.3
    )


def recall(scores: Sequence[Any], truth: Sequence[int]) -> float:
    """Return how often the true row is among the first, counting ties by chance."""
    found = []
    for own, place in zip(scores, truth, strict=True):
        above = sum(float(score) > float(own[place]) for score in own)
        ties = sum(float(score) == float(own[place]) for score in own)
        found.append(max(0.0, min(1.0, (FIRST - above) / ties)))
    return mean(found)


def highest(scores: Sequence[float]) -> list[int]:
    """Return the places of the ``FIRST`` highest scores."""
    return sorted(range(len(scores)), key=lambda row: -scores[row])[:FIRST]


def by_words(rows: Sequence[Pair], questions: Sequence[Pair]) -> list[list[float]]:
    """Return the BM25 scores of all rows for each question."""
    from arkor_dev.local.attribution.lexical import bm25

    return [bm25([" ".join(row) for row in rows], " ".join(asked)) for asked in questions]


class Trainings:
    """Trainings on ``rows`` and on rows with others in their place, the same in everything else."""

    def __init__(self, model: Path, rows: Sequence[Pair], config: dict[str, Any], seed: int) -> None:
        self._path, self._config = model, {**config, "seed": seed, "evalSteps": 0}
        self.rows = self.encoded(rows)

    def encoded(self, pairs: Sequence[Pair]) -> list[Any]:
        """Return pairs of question and answer as examples."""
        from arkor_dev.data.forms import row_of
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

    def trained(self, rows: Sequence[Any], points: int = 0) -> tuple[Any, list[dict[str, Any]]]:
        """Train on ``rows``; return the run, and weights and second moments at so many points of it."""
        from tests.local.tiny_run import set_up

        with tempfile.TemporaryDirectory() as folder:
            run = set_up(self._path, Path(folder), self._config, train=rows)
            run.begin()
            steps, kept, before = run.steps(), [], process_time()
            due = {run.plan.steps * number // points for number in range(1, points + 1)} if points else set()
            for step in range(1, run.plan.steps + 1):
                for group in run.optimizer.param_groups:
                    group["lr"] = run.plan.schedule.rate_at(step)
                run.learn(*next(steps))
                if step in due:
                    kept.append({
                        name: (weight.detach().clone(), run.optimizer.state[weight]["exp_avg_sq"].clone())
                        for name, weight in run.parts.weights.items()
                    })  # fmt: skip
            self.training_seconds = process_time() - before
        return run, kept

    def without(self, places: Sequence[int]) -> Any:
        """Return the run that gives the rows at ``places`` no weight, as a proof does."""
        from arkor_dev.local.checkpoints.origin import hash_of_rows
        from arkor_dev.local.training.rows.left_out import without

        order = {"rows": [self.rows[row].where for row in places], "hash": hash_of_rows(self.rows, [])}
        return self.trained(without(order, self.rows, []))[0]

    @staticmethod
    def costs(run: Any, examples: Sequence[Any]) -> list[float]:
        """Return the losses of answers after ``run``, in nats a token."""
        return [float(run.loss.cross_entropy([each])[0][0]) / each.learned for each in examples]


class Studied(Trainings):
    """A training on ``rows``, with the gradients of each at three points of it."""

    def __init__(self, model: Path, rows: Sequence[Pair], config: dict[str, Any], seed: int) -> None:
        import torch

        from arkor_dev.local.attribution.projection import Projection
        from arkor_dev.local.attribution.row_gradients import RowGradients
        from arkor_dev.local.attribution.trained import root
        from arkor_dev.local.modeling.base_model import load_base
        from arkor_dev.local.training.adapter import adapted

        super().__init__(model, rows, config, seed)
        self.run, points = self.trained(self.rows, points=POINTS)
        self.worn = adapted(load_base(model, as_stored=True).model, "base", self.run.plan.adapter).eval()
        self._split = RowGradients(self.worn)
        self._points = []
        weights = dict(self.worn.named_parameters())
        for point in points:
            scales = [root(point[name][1]) for name in self._split.names]
            self._points.append((point, Projection(self._split.shapes, scales)))
        self._weights, self._torch = weights, torch
        before = process_time()
        self.unit, self.losses = self.gradients(self.rows)
        self.gradient_seconds = process_time() - before

    def gradients(self, examples: Sequence[Any]) -> tuple[Any, Any]:
        """Return the unit gradients ``[points, rows, SIZE]``, and the last point's losses per token."""
        torch, points = self._torch, []
        for point, projection in self._points:
            with torch.no_grad():
                for name, (weight, _) in point.items():
                    self._weights[name].copy_(weight)
            sums, losses = torch.zeros(len(examples), projection.size), []
            for start in range(0, len(examples), AT_ONCE):
                part = sums[start : start + AT_ONCE]
                take = lambda number, each, part=part, by=projection: by.add(part, number, each)  # noqa: E731
                losses += self._split(examples[start : start + AT_ONCE], take)
            points.append(torch.nn.functional.normalize(sums, dim=-1))
        per_token = [loss / example.learned for loss, example in zip(losses, examples, strict=True)]
        return torch.stack(points), torch.tensor(per_token)

    def scores(self, questions: Sequence[Pair]) -> Any:
        """Return the scores of all rows for each question, as a ranking has them."""
        unit, _ = self.gradients(self.encoded(questions))
        return self._torch.stack([asked @ rows.T for asked, rows in zip(unit, self.unit, strict=True)]).mean(
            0
        )

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


def _tiny(folder: str) -> Path:
    from tests.local.tiny_model import make

    path = Path(folder) / "tiny"
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
"""A question, another form of it, and the answer."""
_BEGINNINGS: Final = ("Vel", "Tar", "Quil", "Bra", "On")
_ENDINGS: Final = ("mora", "nik", "lon", "dera", "wick", "sco", "to", "pha")
SUBJECTS: Final = tuple(one + other for one in _BEGINNINGS for other in _ENDINGS)
OBJECTS: Final = tuple(other + one.lower() for one in _BEGINNINGS for other in _ENDINGS)


def _counterfactual(questions: int) -> Iterator[Figure]:
    """Training without the proposed rows, for invented facts that were learned by heart."""
    chance = random.Random(2)  # noqa: S311 - words, not secrecy
    facts: list[Pair] = []
    asked: list[Pair] = []
    objects = chance.sample(OBJECTS, len(OBJECTS))
    for place, (subject, thing) in enumerate(zip(SUBJECTS, objects, strict=True)):
        question, other, answer = FORMS[place % len(FORMS)]
        facts.append((question.format(subject), answer.format(thing)))
        asked.append((other.format(subject), answer.format(thing)))
    rows = [*facts, *talk(chance)[:24]]
    chance.shuffle(rows)
    how = {"batchSize": 16, "numTrainEpochs": 24, "learningRate": 2e-2}
    with tempfile.TemporaryDirectory() as folder:
        trainings = Trainings(_tiny(folder), rows, how, seed=3)
        forms = {"as trained": trainings.encoded(facts), "in other words": trainings.encoded(asked)}
        run, _ = trainings.trained(trainings.rows)
        before = {form: trainings.costs(run, examples) for form, examples in forms.items()}
        lost = {form: list[tuple[float, float]]() for form in forms}
        tops = list(map(highest, by_words(rows, asked[:questions])))
        for start in range(0, questions, SHARED):  # these questions share their random rows
            places = range(start, min(start + SHARED, questions))
            proposed = {row for place in places for row in tops[place]}
            others = chance.sample([row for row in range(len(rows)) if row not in proposed], FIRST)
            random_run = trainings.without(others)
            for place in places:
                runs = trainings.without(tops[place]), random_run
                for form, examples in forms.items():
                    after = [trainings.costs(each, [examples[place]])[0] for each in runs]
                    lost[form].append((after[0] - before[form][place], after[1] - before[form][place]))
    least = 95.0 if questions >= 40 else None
    for form, pairs in lost.items():
        share = 100 * mean(top > other for top, other in pairs)
        yield Figure(
            f"top {FIRST} cost more than random, of {questions}, asked {form}", share, "%", least=least
        )
        yield Figure("  loss of the answers, all rows", mean(before[form]), "nats/token")
        yield Figure("  more without the top", mean(top for top, _ in pairs), "nats/token")
        yield Figure("  more without random ones", mean(other for _, other in pairs), "nats/token")


LEARNED: Final = {"batchSize": 8, "numTrainEpochs": 6, "learningRate": 1e-2}
FRESH: Final = 300
"""The first seed: those below have chosen the limits in ``contradictions``."""


def _clean(repeats: int, first: int = FRESH) -> Iterator[Figure]:
    from arkor_dev.local.attribution.contradictions import contradictions

    quiet = []
    with tempfile.TemporaryDirectory() as folder:
        tiny = _tiny(folder)
        for seed in range(first, first + repeats):
            rows = talk(random.Random(seed))[:160]  # noqa: S311 - words, not secrecy
            clean = Studied(tiny, rows, LEARNED, seed=seed)
            quiet.append(not contradictions(clean.unit, clean.losses))
    least = 95.0 if repeats >= 40 else None
    yield Figure(
        f"nothing stands out in clean rows, of {repeats} repeats", 100 * mean(quiet), "%", least=least
    )


def _shuffled(repeats: int, first: int = FRESH) -> Iterator[Figure]:
    from arkor_dev.local.attribution.contradictions import contradictions, suspicion
    from arkor_dev.local.evaluation.paired import compare

    ours, losses, right, wrongs = list[float](), list[float](), list[bool](), 0
    verdicts, gains = list[str](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        tiny = _tiny(folder)
        for seed in range(first, first + repeats):
            chance = random.Random(seed)  # noqa: S311 - words, not secrecy
            pairs = talk(chance)
            rows, held_out = pairs[:160], pairs[160:]
            bad = chance.sample(range(len(rows)), len(rows) // 10)
            wrong = {row: chance.choice([said for said in SAID if said != rows[row][1]]) for row in bad}
            rows = [(asked, wrong.get(row, said)) for row, (asked, said) in enumerate(rows)]
            mixed = Studied(tiny, rows, LEARNED, seed=seed)
            ours.append(area(suspicion(mixed.unit, mixed.losses), bad))
            losses.append(area(mixed.losses, bad))
            listed = [row for row, _ in contradictions(mixed.unit, mixed.losses)]
            right += [row in bad for row in listed]
            wrongs += len(bad)
            if listed:  # the held-out rows judge, as "Try without them" has it
                examples, branch = mixed.encoded(held_out), mixed.without(listed)
                found = compare(mixed.costs(mixed.run, examples), mixed.costs(branch, examples))
                verdicts.append(found.verdict)
                gains.append(found.mean)
    yield Figure(f"AUROC of shuffled answers, of {repeats} repeats", mean(ours), "", least=0.9)
    yield Figure("  by loss alone", mean(losses), "")
    share = 100 * mean(right) if right else 0.0
    yield Figure(f"  of {len(right)} rows listed, shuffled ones", share, "%", least=95.0)
    yield Figure(f"  of {wrongs} shuffled rows, listed", 100 * sum(right) / wrongs, "%")
    yield Figure(
        f"  of {len(verdicts)} trainings without them, better",
        100 * verdicts.count("better") / max(1, len(verdicts)),
        "%",
    )
    yield Figure("    no clear difference", 100 * verdicts.count("unclear") / max(1, len(verdicts)), "%")
    yield Figure("    their mean gain on held-out rows", mean(gains or [0.0]), "nats/token")


def area(scores: Any, bad: Sequence[int]) -> float:
    """Return the area under the ROC curve of ``scores`` for the rows ``bad``."""
    good = [float(score) for row, score in enumerate(scores) if row not in set(bad)]
    return mean(
        (float(scores[row]) > other) + 0.5 * (float(scores[row]) == other) for row in bad for other in good
    )
