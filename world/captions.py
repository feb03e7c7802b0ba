"""The words for a picture: the canonical prompt, and sentences as people write them."""

from __future__ import annotations

import numpy as np

from prompting import Attributes, Layout, joined, sayings_of, structured_prompt
from world.look import GREYING_AGE, PLAIN_BACKGROUNDS, Look
from world.person import Person


def attributes_of(person: Person, look: Look) -> dict[str, str | int | bool]:
    """The truth of a picture in the keys and values of prompting's schema.

    `hair` is the colour the hair has, under a hat as well, which may hide all of it; it is missing
    on bald heads, and where age has greyed what the look does not dye.
    """
    attributes: dict[str, str | int | bool] = {
        "gender": person.gender,
        "age": look.age,
        "expression": look.expression,
        "glasses": look.glasses,
        "beard": look.beard,
        "hat": look.hat,
        "earrings": look.earrings,
        "clothing": look.clothing,
        "background": look.background,
        "light": look.light,
        "view": look.view,
    }
    natural = person.hair_colour if look.age < GREYING_AGE else None
    shown = look.hair or natural
    if shown is not None and not person.is_bald:
        attributes["hair"] = shown
    return attributes


def caption(person: Person, look: Look) -> str:
    """The canonical prompt of a picture, as the prompt optimiser would write it."""
    return structured_prompt(Attributes.model_validate(attributes_of(person, look)))


def varied_caption(attributes: dict[str, str | int | bool], rng: np.random.Generator) -> str:
    """What a prompt optimiser may write for attributes: in one order or another, each thing in one
    of its phrasings.

    Three times of four all are the shortest, in the default layout: what is written most.
    """
    sayings = sayings_of(Attributes.model_validate(attributes))
    if rng.random() < 0.75:
        layout = Layout.default()
        ordered = sorted(sayings, key=lambda saying: layout.place(saying.attribute))
        return joined(min(saying.phrasings, key=_words) for saying in ordered)
    shuffled = [sayings[index] for index in rng.permutation(len(sayings))]
    return joined(saying.phrasings[int(rng.integers(len(saying.phrasings)))] for saying in shuffled)


def wordy_caption(person: Person, look: Look, rng: np.random.Generator) -> str:
    """A sentence or two that say the same as the canonical prompt, as a person would."""
    return wordy_sentence(attributes_of(person, look), rng)


def wordy_sentence(attributes: dict[str, str | int | bool], rng: np.random.Generator) -> str:
    """Attributes as sentences; keys that are missing are not spoken of."""

    def pick(*options: str) -> str:
        return options[int(rng.integers(len(options)))]

    gender = attributes.get("gender")
    noun = {"man": pick("man", "man", "gentleman"), "woman": pick("woman", "woman", "lady")}.get(
        str(gender), "person"
    )
    he, his = {"man": ("he", "his"), "woman": ("she", "her")}.get(str(gender), ("they", "their"))
    opening = pick(
        "a portrait of a", "a detailed photo of a", "a beautiful picture of a", "this is a"
    )
    mood = {
        "neutral": pick("with a neutral expression", "with a calm face", "who looks neutral"),
        "smiling": pick("who is smiling", "with a big smile", "smiling happily"),
        "surprised": pick("who looks surprised", "with a surprised face"),
        "sad": pick("who looks sad", "with a sad expression"),
    }.get(str(attributes.get("expression")))
    years = attributes.get("age")
    old = pick(f"about {years} years old", f"aged {years}", f"{years} years old") if years else None
    wears = [
        word
        for key, word in (("glasses", "glasses"), ("hat", "a hat"), ("earrings", "earrings"))
        if attributes.get(key)
    ]
    if "clothing" in attributes:
        wears.append(pick("a {} shirt", "a {} top").format(attributes["clothing"]))
    has = ["a beard"] if attributes.get("beard") else []
    if "hair" in attributes:
        has.append(f"{attributes['hair']} hair")
    where = _place(str(attributes["background"]), pick) if "background" in attributes else None
    light = {
        "front": pick("in soft light from the front", "with soft front light"),
        "left": pick("with light from the left", "lit from the left"),
        "right": pick("with light from the right", "lit from the right"),
    }.get(str(attributes.get("light")))
    view = {
        "front": pick("facing the viewer", "looking straight at us"),
        "left": pick("facing left", "turned to the left"),
        "right": pick("facing right", "turned to the right"),
    }.get(str(attributes.get("view")))

    first = ", ".join([" ".join(filter(None, [opening, noun, mood])), *filter(None, [old, view])])
    second = []
    if wears:
        second.append(f"{he} {'wear' if he == 'they' else 'wears'} {_listed(wears)}")
    if has:
        second.append(f"{he} {'have' if he == 'they' else 'has'} {_listed(has)}")
    third = ", ".join(filter(None, [where, light]))
    closing = pick("", "", "high quality", f"with {his} head in the middle")
    return ". ".join(filter(None, [first, " and ".join(second), third, closing]))


def _words(phrasing: str) -> int:
    return len(phrasing.split())


def _place(background: str, pick) -> str:  # type: ignore[no-untyped-def]
    if background in PLAIN_BACKGROUNDS:
        return str(pick(f"in front of a {background} background", f"against a {background} wall"))
    scene = {
        "park": ("in a park", "outside in a green park"),
        "beach": ("on a beach", "at the beach by the sea"),
        "sunset": ("at sunset", "in front of a sunset"),
        "night": ("at night", "outside at night under the moon"),
    }[background]
    return str(pick(*scene))


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
