"""Words for the commands: the prompt plan of attributes and free text, counted by a tokenizer."""

from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import OptionRejected

if TYPE_CHECKING:
    from prompting import Attributes, PromptPlan, Tokenizer

MOST_TOKENS = 75  # CLIP's 77 positions less the start and end marks


def plan_words(
    attributes: "Attributes", text: str | None, source: Path | str, budget: int = MOST_TOKENS
) -> "PromptPlan":
    """What attributes and free text become within a budget of tokens.

    source: a bundle, or the directory of a tokenizer. Words that cannot be understood are found
    before the tokenizer is loaded. Raises what `prompting.optimize` raises, and OptionRejected.
    """
    from prompting import optimize

    optimize(attributes=attributes, text=text)
    tokenizer = _load(source) if isinstance(source, Path) else _load(_tokenizer_of(source))
    return optimize(attributes=attributes, text=text, tokenizer=tokenizer, budget=budget)


def _tokenizer_of(bundle: str) -> Path:
    from models import ComponentKind, open_bundle

    return open_bundle(bundle).path(ComponentKind.PIPELINE) / "tokenizer"


def _load(directory: Path) -> "Tokenizer":
    if not directory.is_dir():
        raise OptionRejected(
            f"{directory} is no folder: give a CLIP tokenizer's, as diffusers saves it"
        )
    from transformers import CLIPTokenizer

    try:
        tokenizer: Tokenizer = CLIPTokenizer.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).split("\n")[0]
        raise OptionRejected(f"{directory} holds no CLIP tokenizer: {reason}") from error
    return tokenizer
