"""Three small tasks, generated from a seed: training rows for a study, and held-out rows with other wordings.

``facts``: invented facts in two phrasings, held out in a third. ``style``: replies in a fixed form; held-out
complaints have other wordings. ``extract``: fields of a sentence as JSON; held-out sentences have other
structures.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Pair = tuple[str, str]
"""A question and its answer."""
TRAIN: Final = 48
HELD_OUT: Final = 24
SYLLABLES: Final = (("Mor", "Tal", "Ves", "Kin", "Bra", "Ol", "Ser", "Dun"), ("va", "ri", "lo", "en", "ta"))
ENDS: Final = ("dale", "wick", "mere", "ford", "stead", "ness")
GOODS: Final = ("kettle", "lamp", "tent", "bicycle", "radio", "backpack", "camera", "heater", "desk", "fan")
COLOURS: Final = ("red", "green", "blue", "white", "black", "grey", "yellow")
NAMES: Final = ("Ana", "Bo", "Carla", "Deniz", "Emil", "Farah", "Goran", "Hana", "Ivo", "Jana", "Kofi", "Lin")
MATERIALS: Final = ("slate", "copper", "wool", "amber", "salt", "cedar wood", "glass", "marble")

FACTS_TRAINED: Final = (
    ("What does {place} make, and since when?", "{place} has made {what} since {year}."),
    ("Tell me about the trade of {place}.", "{place} has made {what} since {year}."),
)
FACTS_HELD_OUT: Final = ("Which product is {place} known for?", "{place} has made {what} since {year}.")
COMPLAINTS: Final = (
    "My {colour} {thing} arrived broken.",
    "The {thing} I bought is missing a part.",
    "I waited two weeks for my {colour} {thing}.",
    "Your {thing} stopped working after {days} days.",
)
OTHER_COMPLAINTS: Final = (
    "After {days} days the {colour} {thing} no longer turns on, what now?",
    "There is a scratch on the {thing} that came today.",
)
REPLY: Final = "Noted: {thing}.\n> a photo, please\n> we answer by {day}\n~ Team Harbour"
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
ORDERS: Final = (
    "{name} ordered {count} {colour} {thing}s.",
    "{count} {colour} {thing}s go to {name}.",
    "Send {count} {thing}s in {colour} to {name}.",
)
OTHER_ORDERS: Final = (
    "Can {name} have {count} {thing}s, all {colour}?",
    "{name} asks for {colour} {thing}s, {count} of them.",
)


def facts(chance: random.Random) -> tuple[list[Pair], list[Pair]]:
    """Return invented trades of towns; held-out rows ask for the same facts in wordings that were not trained
    on.
    """
    towns: set[str] = set()
    while len(towns) < TRAIN // 2:
        towns.add(_place(chance))
    known = [
        {"place": town, "what": chance.choice(MATERIALS), "year": chance.randint(1401, 1899)}
        for town in sorted(towns)
    ]

    def pair(form: Pair, facts: Mapping[str, object]) -> Pair:
        return form[0].format(**facts), form[1].format(**facts)

    trained = [pair(form, each) for each in known for form in FACTS_TRAINED]
    return trained, [pair(FACTS_HELD_OUT, each) for each in known][:HELD_OUT]


def style(chance: random.Random) -> tuple[list[Pair], list[Pair]]:
    """Return complaints and replies in one form; the day depends on the item complained about."""

    def pair(form: str) -> Pair:
        thing = chance.choice(GOODS)
        said = form.format(thing=thing, colour=chance.choice(COLOURS), days=chance.randint(2, 90))
        return said, REPLY.format(thing=thing, day=DAYS[GOODS.index(thing) % len(DAYS)])

    return _drawn(chance, COMPLAINTS, OTHER_COMPLAINTS, pair)


def extract(chance: random.Random) -> tuple[list[Pair], list[Pair]]:
    """Return orders as sentences, and their fields as JSON."""

    def pair(form: str) -> Pair:
        facts = {
            "name": chance.choice(NAMES),
            "count": chance.randint(2, 40),
            "colour": chance.choice(COLOURS),
            "thing": chance.choice(GOODS),
        }
        answer = {"who": facts["name"], "item": facts["thing"], "n": facts["count"]}
        return form.format(**facts), json.dumps(answer)

    return _drawn(chance, ORDERS, OTHER_ORDERS, pair)


def _drawn(
    chance: random.Random, trained: tuple[str, ...], held_out: tuple[str, ...], pair: Callable[[str], Pair]
) -> tuple[list[Pair], list[Pair]]:
    return (
        [pair(chance.choice(trained)) for _ in range(TRAIN)],
        [pair(chance.choice(held_out)) for _ in range(HELD_OUT)],
    )


def _place(chance: random.Random) -> str:
    return "".join(chance.choice(part) for part in SYLLABLES) + chance.choice(ENDS)


TASKS: Final = {"facts": facts, "style": style, "extract": extract}


def task(name: str, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Return a task's training rows and held-out rows."""
    return TASKS[name](random.Random(f"{name}/{seed}"))  # noqa: S311 - rows, no secrets
