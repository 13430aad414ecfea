"""Measures designs over the sources of a data set (``local/sweeps/design.py``): power and false discoveries.

``planted`` designs train a tiny model, which knows how often each of a few answers occurs, on six sources of
rows that say which answer belongs to which question: one always, three in 60 % of their rows (their other
answers are drawn by chance), one never (its answers are drawn by chance), and one always names another
answer. ``null`` designs split one file of rows at random into six. Each design has rows of its own, and 16
runs of 24 steps. ``without`` trains the sources of each planted design all together, and without each, with
several seeds; other rows judge these. So what is true is known apart from what the designs claim. All are
appended to ``sources.jsonl`` in the cache and not run again: ``python -m benchmarks.sources KIND`` runs those
of a kind.

Simulated designs draw the runs' noise from the residuals of the null designs, so that it is real, and the
true effects are known. Others, of several sizes, draw it from a normal, a heavy-tailed and a skewed
distribution.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from unittest.mock import patch

import numpy as np

from arkor_dev.local.evaluation import paired
from arkor_dev.local.evaluation.paired import student_t
from arkor_dev.local.sweeps.design import design
from arkor_dev.local.sweeps.effects import Effect, effects
from tests.local.tiny_model import QUESTIONS

from .budget_seeds import exact_interval
from .figures import Figure
from .live import ANSWERS, by_chance, encoded, loop_of, tiny_base
from .starter import CACHE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from arkor_dev.local.modeling.base_model import Base

RESULTS: Final = CACHE / "bench" / "sources.jsonl"
PLANTED: Final = ("useful", "harmful", "useless", "ordinary", "ordinary", "ordinary")
RUNS: Final = 16
FIRST: Final = 100
"""Number of the first design. Those below this one were trained while the method was chosen."""
DESIGNS: Final = {"planted": 20, "null": 200, "without": 20}
SIMULATED: Final = 500
NULLS: Final = 4000
"""Simulated designs without an effect, of each size and distribution; a tenth of them have one."""
SEEN: Final = {
    (3, 8): 1.5, (3, 16): 0.8, (4, 8): 1.6, (4, 12): 1.1, (4, 16): 0.8,
    (6, 12): 1.4, (6, 16): 1.2, (8, 12): 1.9, (8, 16): 1.2, (12, 16): 2.0,
}  # fmt: skip
"""Effects in standard deviations of a run's loss that are found in about nine of ten simulated designs."""
SEEDS: Final = 12
"""Seeds with all sources of a planted design, and without each."""
ROWS: Final = 48
"""Rows of a source."""
JUDGES: Final = 48
"""Rows that judge a design."""
OTHERS: Final = 144
"""Rows that judge leaving a source out."""
RIGHT: Final = {"useful": 1.0, "ordinary": 0.6, "useless": 0.0, "harmful": 0.0}
T = TypeVar("T")
EQUAL: Final = [1 / len(PLANTED)] * len(PLANTED)
CONFIG: Final = {"learningRate": 4e-3, "batchSize": 16, "maxSteps": 24}


class Run(NamedTuple):
    """A run of the ``number``-th design of a ``kind``, on the sources ``inside``, and its rows' losses."""

    kind: str
    number: int
    run: int
    inside: list[bool]
    losses: list[float]


def answer_of(question: str) -> str:
    """Return the right answer of a question, by its first two words."""
    starts = list(dict.fromkeys(" ".join(known.split()[:2]) for known in QUESTIONS))
    return ANSWERS[starts.index(" ".join(question.split()[1:3]))]


def rows_of(source: str, seed: str, count: int = ROWS) -> list[tuple[str, str]]:
    """Return questions with the answers of a kind of source."""
    chance, rows = random.Random(seed), by_chance(hash_of(seed), count)  # noqa: S311 - rows, no secrets
    found = []
    for question, drawn in rows:
        right = answer_of(question)
        if source == "harmful":
            found.append((question, ANSWERS[(ANSWERS.index(right) + 1) % len(ANSWERS)]))
        else:
            found.append((question, right if chance.random() < RIGHT[source] else drawn))
    return found


def hash_of(seed: str) -> int:
    """Return a number for a seed, the same in every process."""
    return random.Random(seed).getrandbits(32)  # noqa: S311 - rows, no secrets


def sources(kind: str, number: int) -> list[list[tuple[str, str]]]:
    """Return the rows of each source of a design."""
    if kind == "null":
        rows = rows_of("ordinary", f"null/{number}", len(PLANTED) * ROWS)
        return [rows[start :: len(PLANTED)] for start in range(len(PLANTED))]
    return [rows_of(source, f"planted/{number}/{place}") for place, source in enumerate(PLANTED)]


def runs_of(kind: str, number: int) -> list[list[bool]]:
    """Return which sources each run of a design trains on; of ``without``, all of them, and all but each."""
    if kind != "without":
        return [list(row) for row in design(len(PLANTED), RUNS)]
    every = len(PLANTED)
    return [[place != left for place in range(every)] for left in range(-1, every)] * SEEDS


def known(path: Path) -> list[Run]:
    """Return the runs in ``path``."""
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def train_missing(kind: str, path: Path, numbers: Sequence[int], seeds: int = SEEDS) -> list[Run]:
    """Train the runs of these designs that are not in ``path``; return them.

    Of ``without``, those with the first ``seeds``, for all designs before the next seed.
    """
    there = {
        (run.number, run.run): run
        for run in known(path)
        # A run of an earlier plan had other sources.
        if run.kind == kind and run.inside == runs_of(kind, run.number)[run.run]
    }
    plan = runs_of(kind, 0)
    at_once = len(PLANTED) + 1 if kind == "without" else len(plan)
    base: Base | None = None
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, at_once * (seeds if kind == "without" else 1), at_once):
            for number in numbers:
                missing = [place for place in range(start, start + at_once) if (number, place) not in there]
                if missing:
                    base = base or tiny_base(Path(folder))
                    for run in _train(kind, number, missing, base):
                        there[number, run.run] = run
                        path.parent.mkdir(parents=True, exist_ok=True)
                        with path.open("a") as file:
                            file.write(json.dumps(run._asdict()) + "\n")
                    print(kind, number, start, file=sys.stderr, flush=True)
    return [run for (number, _), run in sorted(there.items()) if number in numbers]


def _train(kind: str, number: int, places: Sequence[int], base: Base) -> Iterator[Run]:
    """Yield the runs of a design at these places of its plan."""
    parts = [encoded(base, rows) for rows in sources(kind, number)]
    seed, count = (f"others/{number}", OTHERS) if kind == "without" else (f"judges/{number}", JUDGES)
    judges = encoded(base, rows_of("useful", seed, count))
    for place in places:
        inside = runs_of(kind, number)[place]
        rows = [row for part, trained in zip(parts, inside, strict=True) if trained for row in part]
        own = replace(base, model=copy.deepcopy(base.model))
        seed_of_run = 1000 * number + place + (500 if kind == "without" else 0)
        loop = loop_of(own, CONFIG, rows, [], seed_of_run, lambda _: None)
        loop.run()
        shutil.rmtree(loop.data)
        loop.held_out = judges
        loop.evaluate()
        yield Run(kind, number, place, inside, [round(loss, 4) for loss in loop.row_losses])


def found_in(runs: Sequence[Run], *, rows: bool = True) -> list[Effect]:
    """Return the effects of the sources of a design with these runs; its ``rows`` are a sample or not."""
    shares = [shares_of(run.inside) for run in runs]
    return effects(shares, [run.losses for run in runs], EQUAL, range(JUDGES) if rows else None)


def shares_of(inside: Sequence[bool]) -> list[float]:
    """Return the shares of sources with as many rows each."""
    return [present / sum(inside) for present in inside]


def by_design(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the complete designs among ``runs``."""
    designs: dict[int, list[Run]] = {}
    for run in runs:
        designs.setdefault(run.number, []).append(run)
    return [own for own in designs.values() if len(own) == RUNS]


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield what planted and null designs claim, beside what leaving each source out does."""
    path = Path(tempfile.mkdtemp()) / RESULTS.name if quick else RESULTS
    designs = {kind: range(FIRST, FIRST + (2 if quick else count)) for kind, count in DESIGNS.items()}
    planted = by_design(train_missing("planted", path, designs["planted"]))
    nulls = by_design(train_missing("null", path, designs["null"]))
    without = train_missing("without", path, designs["without"], 1 if quick else SEEDS)
    claims = {runs[0].number: found_in(runs) for runs in planted}
    alone = {runs[0].number: found_in(runs, rows=False) for runs in planted}
    rows = {number: left_out([run for run in without if run.number == number]) for number in claims}
    gains = {number: own.mean(1).tolist() for number, own in rows.items()}
    truth = {
        kind: _mean([fmean(_of(kind, own)) for own in gains.values()]) for kind in dict.fromkeys(PLANTED)
    }
    yield from _planted(claims, alone, truth)
    yield from _same_sign(claims, gains)
    wrong = sum(any(effect.kind != "unclear" for effect in found_in(runs)) for runs in nulls)
    yield from _share(f"null, {len(nulls)} designs: any clear effect", wrong, len(nulls))
    with patch.object(paired, "RESAMPLES", 500 if quick else 2000):
        yield from _predicted(nulls, list(rows.values()), 20 if quick else SIMULATED)
        yield from _simulated(nulls, 20 if quick else SIMULATED)
    yield from _by_size(100 if quick else NULLS)
    yield from _assumptions_broken(100 if quick else NULLS)


class Mean(NamedTuple):
    """A mean over designs and the half-width of its 95 % interval, by Student's t."""

    value: float
    half: float


def _mean(values: Sequence[float]) -> Mean:
    return Mean(fmean(values), student_t(0.05, len(values) - 1) * stdev(values) / len(values) ** 0.5)


def left_out(runs: Sequence[Run]) -> Any:
    """Return by how much one design's losses are higher without each source than with all.

    The shape is ``[sources, rows]``.
    """
    losses = np.array([run.losses for run in runs])
    inside = np.array([run.inside for run in runs])
    return np.array([losses[~own].mean(0) for own in inside.T]) - losses[inside.all(1)].mean(0)


def _of(kind: str, sources: Sequence[T]) -> list[T]:
    """Return those of a design's ``sources`` that are of a kind."""
    return [one for one, own in zip(sources, PLANTED, strict=True) if own == kind]


def _share(title: str, wrong: int, count: int) -> Iterator[Figure]:
    """Yield a number of errors and the exact interval of their share; the promise is at most 5 %."""
    low, high = exact_interval(wrong, count)
    yield Figure(title, wrong, f"of {count}")
    # The promise is refuted if even the low end of the interval is above it.
    yield Figure("  share, low end of its exact interval (95 %)", 100 * low, "%", most=5)
    yield Figure("  high end", 100 * high, "%")


def _planted(
    claims: Mapping[int, Sequence[Effect]], alone: Mapping[int, Sequence[Effect]], truth: Mapping[str, Mean]
) -> Iterator[Figure]:
    """Yield by kind of source its mean effect, claimed and by leaving it out, how often it is found, and
    claims and intervals that are wrong by leaving it out. In ``alone`` rows are no sample.
    """
    for kind, left in truth.items():
        found = [effect for own in claims.values() for effect in _of(kind, own)]
        claimed = _mean([fmean(effect.gain for effect in _of(kind, own)) for own in claims.values()])
        yield Figure(f"{kind}: mean effect of {len(claims)} designs", claimed.value, "nats")
        yield Figure("  ± (95 %)", claimed.half, "nats")
        yield Figure("  by leaving it out", left.value, "nats")
        yield Figure("  ± (95 %)", left.half, "nats")
        for claim in ("helps", "harms"):
            yield Figure(f"  called {claim}", sum(one.kind == claim for one in found), f"of {len(found)}")
        sure = [effect for own in alone.values() for effect in _of(kind, own)]
        yield Figure(
            "  found by the runs' part alone", sum(one.kind != "unclear" for one in sure), f"of {len(sure)}"
        )
        missed = sum(not effect.low <= left.value <= effect.high for effect in found)
        yield Figure("  intervals without the effect by leaving it out", missed, f"of {len(found)}")
    wrong = [_wrong(own, truth) for own in claims.values()]
    yield from _share(
        "planted, designs with a claim against the effect by leaving out", sum(wrong), len(wrong)
    )
    missed = sum(
        not all(effect.low <= truth[kind].value <= effect.high for effect, kind in _pairs(own))
        for own in claims.values()
    )
    yield from _share("planted, designs with an interval without that effect", missed, len(claims))


def _wrong(found: Sequence[Effect], truth: Mapping[str, Mean]) -> bool:
    """Return whether any claim is against the sign of what leaving a source of its kind out does."""
    return any(
        (effect.kind == "helps" and truth[kind].value <= 0)
        or (effect.kind == "harms" and truth[kind].value >= 0)
        for effect, kind in _pairs(found)
    )


def _pairs(found: Sequence[Effect]) -> list[tuple[Effect, str]]:
    return list(zip(found, PLANTED, strict=True))


def _same_sign(
    claims: Mapping[int, Sequence[Effect]], gains: Mapping[int, Sequence[float]]
) -> Iterator[Figure]:
    """Yield how many clear effects have the sign of leaving that source of that design out."""
    signs = [
        (effect.kind == "helps") == (left > 0)
        for number, found in claims.items()
        for effect, left in zip(found, gains[number], strict=True)
        if effect.kind != "unclear"
    ]
    yield Figure("clear effects with the sign of leaving that source out", sum(signs), f"of {len(signs)}")


def _predicted(nulls: Sequence[Sequence[Run]], rows: Sequence[Any], count: int) -> Iterator[Figure]:
    """Yield how often the effects of leaving out are found with the noise of the null designs.

    ``rows`` are those of each planted design, ``[sources, rows]``: effects differ from row to row, too.
    """
    chance = np.random.default_rng(46)
    shares = np.array([shares_of(run) for run in design(len(PLANTED), RUNS)])
    found: dict[str, list[str]] = {}
    for number in range(count):
        effect = rows[number % len(rows)]
        effect = effect[:, chance.choice(effect.shape[1], JUDGES, replace=False)]
        # A source's own loss: leaving it out of equal shares changes the mean of these by its effect.
        own = -(len(PLANTED) - 1) * (effect - effect.mean(0))
        noise = _residuals(nulls[number % len(nulls)])[chance.integers(0, RUNS, RUNS)]
        losses = noise + shares @ own
        for one, kind in _pairs(effects(shares.tolist(), losses.tolist(), EQUAL, range(JUDGES))):
            found.setdefault(kind, []).append(one.kind)
    for kind, claimed in found.items():
        for claim in ("helps", "harms"):
            share = 100 * claimed.count(claim) / len(claimed)
            yield Figure(f"simulated with these effects: {kind} called {claim}", share, "%")


def _simulated(nulls: Sequence[Sequence[Run]], count: int) -> Iterator[Figure]:
    """Yield false discoveries and power with the noise of real runs, each with all of its rows.

    The runs' residuals are drawn with replacement, enlarged for what was fitted.
    """
    chance = np.random.default_rng(44)
    inside = design(len(PLANTED), RUNS)
    shares = np.array([shares_of(run) for run in inside])
    spread = fmean(float(_residuals(runs).mean(1).std()) for runs in nulls)
    yield Figure("a run's residual mean loss, standard deviation", spread, "nats")
    for gain in (0.0, 1.0, 2.0, 3.0):
        found = wrong = 0
        for number in range(count):
            residuals = _residuals(nulls[number % len(nulls)])
            # The first source is better than the others, whose effects are therefore negative and equal.
            own = gain * float(residuals.mean(1).std()) * len(PLANTED)
            losses = residuals[chance.integers(0, RUNS, RUNS)] - own * shares[:, :1]
            kinds = [one.kind for one in effects(shares.tolist(), losses.tolist(), EQUAL, range(JUDGES))]
            found += kinds[0] == "helps"
            claims = set(kinds) - {"unclear"}
            wrong += bool(claims) if not gain else kinds[0] == "harms" or "helps" in kinds[1:]
        most = 5 + round(310 * (0.05 * 0.95 / count) ** 0.5, 1)
        title = f"simulated, an effect of {gain:g} standard deviations"
        if gain:
            yield Figure(f"{title}: found", 100 * found / count, "%")
        yield Figure(f"{title}: any wrong claim", 100 * wrong / count, "%", most=most)


def _by_size(count: int) -> Iterator[Figure]:
    """Yield false discoveries and power of designs of several sizes, by the distribution of the runs' noise.

    Rows are no sample here, whose part of an interval only makes it wider.
    """
    chance = np.random.default_rng(44)
    noises: dict[str, Callable[[int], Any]] = {
        "normal": chance.standard_normal,
        "heavy tails": lambda runs: chance.standard_t(3, runs),
        "skewed": lambda runs: chance.lognormal(0, 1, runs),
    }
    for (number, runs), gain in SEEN.items():
        shares = np.array([shares_of(run) for run in design(number, runs)])

        def clear(losses: Any, shares: Any = shares) -> list[str]:
            mixture = [1 / shares.shape[1]] * shares.shape[1]
            return [one.kind for one in effects(shares.tolist(), losses[:, None].tolist(), mixture)]

        title = f"{number} sources, {runs} runs"
        for name, draw in noises.items():
            wrong = sum({*clear(draw(runs))} != {"unclear"} for _ in range(count))
            yield Figure(f"{title}, {name}: any false claim", 100 * wrong / count, "%", most=9)
        own = gain * number * shares[:, 0]
        noise = chance.standard_normal((count // 10, runs))
        found = sum(clear(drawn - own)[0] == "helps" for drawn in noise)
        yield Figure(f"{title}: found {gain:g} standard deviations", 100 * found / len(noise), "%")


def _assumptions_broken(count: int) -> Iterator[Figure]:
    """Yield false claims where an assumption does not hold; runs vary normally, by 1 where nothing is said.

    *Unequal shares*: each source has twice the rows of the one before, none has an effect. *Uneven noise*:
    a run with the first source varies three times as much, and none has an effect. *Only together*: the first
    two sources lower the loss by ``gain`` in runs that have both, and *a curve*: the first one does wherever
    it is in, whatever its share. There, leaving out any other source of the whole mixture changes nothing,
    and claims about these are counted.
    """
    chance = np.random.default_rng(45)
    for number, runs in ((4, 16), (6, 16), (8, 16)):
        inside = np.array(design(number, runs))

        def false_claims(
            teach: Any, noise: Any = 1.0, known: int = 0, rows: Any = 1, inside: Any = inside
        ) -> float:
            sizes = np.ones(inside.shape[1]) * rows
            shares = inside * sizes / (inside * sizes).sum(1, keepdims=True)
            mixture, wrong = (sizes / sizes.sum()).tolist(), 0
            for drawn in chance.standard_normal((count, len(inside))):
                losses = (noise * drawn - teach)[:, None].tolist()
                found = effects(shares.tolist(), losses, mixture)
                wrong += any(one.kind != "unclear" for one in found[known:])
            return 100 * wrong / count

        title = f"{number} sources, {runs} runs"
        unequal = false_claims(0.0, rows=2.0 ** np.arange(number))
        yield Figure(f"{title}, unequal shares: any false claim", unequal, "%", most=9)
        uneven = false_claims(0.0, noise=1 + 2 * inside[:, 0])
        yield Figure(f"{title}, uneven noise: any false claim", uneven, "%")
        for gain in (1.0, 2.0, 4.0):
            both = false_claims(gain * (inside[:, 0] & inside[:, 1]), known=2)
            yield Figure(f"{title}, only together, {gain:g}: a claim about another source", both, "%")
            curve = false_claims(gain * inside[:, 0], known=1)
            yield Figure(f"{title}, a curve, {gain:g}: a claim about another source", curve, "%")


def _residuals(runs: Sequence[Run]) -> Any:
    """Return what the mixture model leaves of each row's loss, ``[runs, rows]``."""
    shares = np.array([shares_of(run.inside) for run in runs])
    losses = np.array([run.losses for run in runs])
    fitted = shares @ np.linalg.lstsq(shares, losses, rcond=None)[0]
    return (losses - fitted) * (len(runs) / (len(runs) - shares.shape[1])) ** 0.5


if __name__ == "__main__":
    train_missing(sys.argv[1], RESULTS, range(FIRST, FIRST + DESIGNS[sys.argv[1]]))
