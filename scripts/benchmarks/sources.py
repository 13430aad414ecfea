"""Measures designs over the sources of a data set (``local/sweeps/design.py``): power and false discoveries.

``planted`` designs train a tiny model, which knows how often each of a few answers occurs, on six sources of
rows that say which answer belongs to which question: one always, three in 60 % of their rows (their other
answers are drawn by chance), one never (its answers are drawn by chance), and one always names another
answer. ``null`` designs split one file of rows at random into six. Each design has rows of its own, and 16
runs of 24 steps. ``without`` trains planted sources all together, and without each, with several seeds. All
are appended to ``sources.jsonl`` in the cache and not run again: ``python -m benchmarks.sources KIND`` runs
those of a kind.

Simulated designs draw the runs' noise from the residuals of these runs, so that it is real, and the true
effects are known. Others, of several sizes, draw it from a normal, a heavy-tailed and a skewed distribution.

The 752 runs of all kinds take about 12 s each while two cores are busy: two and a half hours.
"""

from __future__ import annotations

import copy
import json
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unittest.mock import patch

import numpy as np

from arkor_dev.local.evaluation import paired
from arkor_dev.local.sweeps.design import design
from arkor_dev.local.sweeps.effects import Effect, effects
from tests.local.tiny_model import QUESTIONS

from .figures import Figure
from .live import ANSWERS, by_chance, encoded, loop_of, tiny_base
from .starter import CACHE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from arkor_dev.local.modeling.base_model import Base

RESULTS: Final = CACHE / "bench" / "sources.jsonl"
PLANTED: Final = ("useful", "harmful", "useless", "ordinary", "ordinary", "ordinary")
RUNS: Final = 16
DESIGNS: Final = 20
SIMULATED: Final = 500
NULLS: Final = 4000
"""Simulated designs without an effect, of each size and distribution; a tenth of them have one."""
SEEN: Final = {
    (3, 8): 1.5, (3, 16): 0.8, (4, 8): 1.6, (4, 12): 1.1, (4, 16): 0.8,
    (6, 12): 1.4, (6, 16): 1.2, (8, 12): 1.9, (8, 16): 1.2, (12, 16): 2.0,
}  # fmt: skip
"""Effects in standard deviations of a run's loss that are found in about nine of ten simulated designs."""
LEFT_OUT: Final = 1
"""Planted designs of which each source was left out."""
SEEDS: Final = 16
"""Seeds with all sources, and without each."""
ROWS: Final = 48
"""Rows of a source."""
JUDGES: Final = 48
"""Rows that judge."""
RIGHT: Final = {"useful": 1.0, "ordinary": 0.6, "useless": 0.0, "harmful": 0.0}
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


def train_missing(kind: str, path: Path, numbers: Sequence[int], most: int | None = None) -> list[Run]:
    """Train the runs of these designs that are not in ``path``, the first ``most`` of each; return them."""
    there = {
        (run.number, run.run): run
        for run in known(path)
        # A run of an earlier plan had other sources.
        if run.kind == kind and run.inside == runs_of(kind, run.number)[run.run]
    }
    base: Base | None = None
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            for place, inside in enumerate(runs_of(kind, number)[:most]):
                if (number, place) in there:
                    continue
                base = base or tiny_base(Path(folder))
                there[number, place] = run = _train(kind, number, place, inside, base)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a") as file:
                    file.write(json.dumps(run._asdict()) + "\n")
            print(kind, number, file=sys.stderr, flush=True)
    return [run for (number, _), run in sorted(there.items()) if number in numbers]


def _train(kind: str, number: int, place: int, inside: list[bool], base: Base) -> Run:
    own = replace(base, model=copy.deepcopy(base.model))
    parts = sources(kind, number)
    rows = [row for part, trained in zip(parts, inside, strict=True) if trained for row in part]
    judges = rows_of("useful", f"judges/{number}", JUDGES)
    loop = loop_of(
        own, CONFIG, encoded(own, rows), encoded(own, judges), 1000 * number + place, lambda _: None
    )
    loop.run()
    loop.evaluate()
    return Run(kind, number, place, inside, [round(loss, 4) for loss in loop.row_losses])


def found_in(runs: Sequence[Run]) -> list[Effect]:
    """Return the effects of the sources of a design with these runs."""
    shares = [shares_of(run.inside) for run in runs]
    return effects(shares, [run.losses for run in runs], EQUAL, range(JUDGES))


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
    """Yield what planted and null designs find, and how that agrees with leaving a source out."""
    path = Path(tempfile.mkdtemp()) / RESULTS.name if quick else RESULTS
    count = 1 if quick else DESIGNS
    planted = by_design(train_missing("planted", path, range(count)))
    nulls = by_design(train_missing("null", path, range(count)))
    with patch.object(paired, "RESAMPLES", 500 if quick else 2000):
        claims = [found_in(runs) for runs in planted]
        yield from _planted(claims)
        wrong = sum(any(effect.kind != "unclear" for effect in found_in(runs)) for runs in nulls)
        yield Figure(f"null, {len(nulls)} designs: any clear effect", 100 * wrong / len(nulls), "%", most=20)
        yield from _simulated(planted, 20 if quick else SIMULATED)
        yield from _by_size(100 if quick else NULLS)
        yield from _assumptions_broken(100 if quick else NULLS)
        if not quick:
            yield from _left_out(claims, train_missing("without", path, range(LEFT_OUT)))


def _planted(claims: Sequence[Sequence[Effect]]) -> Iterator[Figure]:
    """Yield the mean effect of each kind of source, how often it is found, and claims that are wrong."""
    truth = {kind: fmean(_gains(claims, kind)) for kind in dict.fromkeys(PLANTED)}
    for kind, gain in truth.items():
        kinds = [found[place].kind for found in claims for place, own in enumerate(PLANTED) if own == kind]
        yield Figure(f"{kind}: mean effect of {len(claims)} designs", gain, "nats")
        for claim in ("helps", "harms"):
            yield Figure(f"  called {claim}", 100 * kinds.count(claim) / len(kinds), "%")
    wrong = sum(
        any(
            (effect.low > 0 > truth[kind]) or (effect.high < 0 < truth[kind])
            for effect, kind in _pairs(found)
        )
        for found in claims
    )
    yield Figure("planted: any claim against the mean effect", 100 * wrong / len(claims), "%", most=5)
    inside = sum(
        all(effect.low <= truth[kind] <= effect.high for effect, kind in _pairs(found)) for found in claims
    )
    yield Figure("planted: all intervals have the mean effect", 100 * inside / len(claims), "%")


def _pairs(found: Sequence[Effect]) -> list[tuple[Effect, str]]:
    return list(zip(found, PLANTED, strict=True))


def _gains(claims: Sequence[Sequence[Effect]], kind: str) -> list[float]:
    return [effect.gain for found in claims for effect, own in _pairs(found) if own == kind]


def _simulated(planted: Sequence[Sequence[Run]], count: int) -> Iterator[Figure]:
    """Yield false discoveries and power with the noise of real runs, each with all of its rows.

    The runs' residuals are drawn with replacement, enlarged for what was fitted.
    """
    chance = np.random.default_rng(44)
    inside = design(len(PLANTED), RUNS)
    shares = np.array([shares_of(run) for run in inside])
    spread = fmean(float(_residuals(runs).mean(1).std()) for runs in planted)
    yield Figure("a run's residual mean loss, standard deviation", spread, "nats")
    for gain in (0.0, 1.0, 2.0, 3.0):
        found = wrong = 0
        for number in range(count):
            residuals = _residuals(planted[number % len(planted)])
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


def _left_out(claims: Sequence[Sequence[Effect]], runs: Sequence[Run]) -> Iterator[Figure]:
    """Yield how many clear effects have the sign that leaving the source out of all has."""
    agree = clear = 0
    for number in range(LEFT_OUT):
        own = [run for run in runs if run.number == number]
        every = fmean(fmean(run.losses) for run in own if all(run.inside))
        for place, effect in enumerate(claims[number]):
            if effect.kind == "unclear":
                continue
            without = fmean(fmean(run.losses) for run in own if not run.inside[place])
            clear += 1
            agree += (without > every) == (effect.gain > 0)
    yield Figure(
        f"clear effects of {LEFT_OUT} designs with the sign of leaving the source out", agree, f"of {clear}"
    )


if __name__ == "__main__":
    train_missing(sys.argv[1], RESULTS, range(int(sys.argv[2]) if len(sys.argv) > 2 else DESIGNS))
