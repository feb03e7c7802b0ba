"""A tokenizer that knows a few whole words."""

from transformers import CLIPTokenizer

WORDS = """portrait of a man woman age smiling neutral surprised sad glasses beard hat earrings no
black brown blond ginger hair red white purple orange teal shirt blue green pink yellow park beach
sunset night grey background light from the left right front facing young middle aged old person
with wearing in , . 0 1 2 3 4 5 6 7 8 9"""


def tiny_tokenizer(pad: str = "<|endoftext|>") -> CLIPTokenizer:
    """CLIP's byte-level BPE with a few whole words; anything else is spelled in letters."""
    pieces, merges = word_pieces()
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77, pad_token=pad)


def word_pieces() -> tuple[list[str], list[tuple[str, str]]]:
    """The letters, and what they are merged to on the way to the few words; and these merges."""
    letters = [*map(chr, range(33, 127)), *map(chr, range(161, 173)), *map(chr, range(174, 324))]
    pieces = letters + [f"{letter}</w>" for letter in letters]
    merges: list[tuple[str, str]] = []
    for word in WORDS.split():
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merge = (parts[0], parts[1])
            parts = [parts[0] + parts[1], *parts[2:]]
            if merge not in merges:
                merges.append(merge)
                pieces.append("".join(merge))
    return list(dict.fromkeys(pieces)), merges
