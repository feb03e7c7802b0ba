"""Components that speak: each is made in one language and told again when another is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from serving.page.words import Words

Said = str | Callable[[Words], object]  # a key of the words, or what is made of them


@dataclass(frozen=True)
class _Speaking:
    component: Any
    says: Mapping[str, Said]


class Speaker:
    """Makes Gradio's components with texts, and knows how each says them in another language."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._speaking: list[_Speaking] = []

    def make(self, kind: Callable[..., Any], says: Mapping[str, Said], **fixed: object) -> Any:
        """A component of that kind; says: its properties that are words."""
        component = kind(**{name: _said(what, self._words) for name, what in says.items()}, **fixed)
        self._speaking.append(_Speaking(component, says))
        return component

    @property
    def components(self) -> list[Any]:
        """All that speak, in the order of `in_language`."""
        return [speaking.component for speaking in self._speaking]

    def in_language(self, words: Words) -> dict[Any, dict[str, object]]:
        """For each component the properties that it says in that language."""
        return {
            speaking.component: {name: _said(what, words) for name, what in speaking.says.items()}
            for speaking in self._speaking
        }


def _said(what: Said, words: Words) -> object:
    return words(what) if isinstance(what, str) else what(words)
