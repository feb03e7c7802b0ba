"""Words for the commands: a tokenizer, and the prompt plans it counts."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import OptionRejected

if TYPE_CHECKING:
    from prompting import Attributes, PromptPlan

MOST_TOKENS = 75  # CLIP's 77 positions less the start and end marks


@dataclass(frozen=True)
class Wording:
    """A CLIP tokenizer, and what a negative prompt says by default (None: the optimiser's own)."""

    tokenizer: Any
    negative: str | None

    def plan(
        self, attributes: "Attributes", text: str | None, budget: int = MOST_TOKENS
    ) -> "PromptPlan":
        """What attributes and words become within a budget of tokens."""
        from prompting import optimize

        return optimize(attributes, text, self.tokenizer, budget=budget, negative=self.negative)

    def pieces(self, text: str) -> list[tuple[str, int]]:
        """The tokens of a text as they are read, each with its id; "·" ends a word."""
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        names = self.tokenizer.convert_ids_to_tokens(ids)
        decoded = [
            self.tokenizer.decode([one]).strip() or name
            for one, name in zip(ids, names, strict=True)
        ]
        return [
            (shown + ("·" if name.endswith("</w>") else ""), number)
            for shown, name, number in zip(decoded, names, ids, strict=True)
        ]


def open_wording(source: Path | str) -> Wording:
    """The words of a bundle, by its name, or of a tokenizer's directory.

    Raises OptionRejected, and what opening a bundle raises.
    """
    if isinstance(source, Path):
        return Wording(_load(source), None)
    from models import ComponentKind, open_bundle

    bundle = open_bundle(source)
    directory = bundle.path(ComponentKind.PIPELINE) / "tokenizer"
    return Wording(_load(directory), bundle.manifest.defaults.negative_prompt)


def _load(directory: Path) -> Any:
    if not any((directory / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise OptionRejected(
            f"{directory} holds no tokenizer.json or vocab.json: give the folder of a CLIP "
            "tokenizer, as diffusers saves it"
        )
    from transformers import CLIPTokenizer

    try:
        return CLIPTokenizer.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).split("\n")[0]
        raise OptionRejected(f"{directory} holds no CLIP tokenizer: {reason}") from error
