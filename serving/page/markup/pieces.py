"""Small pieces that others are made of."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from serving.page.words import Words

__all__ = ["chip", "data_url", "escape", "heading", "human_bytes", "human_seconds", "notice"]


def heading(title: str, lead: str = "") -> str:
    """A section's title and what it is about."""
    said = f'<p class="lm-lead">{escape(lead)}</p>' if lead else ""
    return f'<div class="lm-heading"><h2>{escape(title)}</h2>{said}</div>'


def chip(text: str, kind: str = "", title: str = "") -> str:
    """A short text in a rounded frame."""
    hint = f' title="{escape(title)}"' if title else ""
    return f'<span class="lm-chip {kind}"{hint}>{escape(text)}</span>'


def notice(title: str, lines: list[str], *, kind: str = "", inner: str = "") -> str:
    """A calm message: a title, lines, and pieces of HTML that are safe already."""
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
    return (
        f'<div class="lm-notice {kind}" role="alert"><h3>{escape(title)}</h3>'
        f"{paragraphs}{inner}</div>"
    )


def data_url(picture: bytes) -> str:
    """A picture as it stands in a page; its kind is read off its first bytes."""
    kind = "png"
    if picture[:3] == b"\xff\xd8\xff":
        kind = "jpeg"
    elif picture[8:12] == b"WEBP":
        kind = "webp"
    return f"data:image/{kind};base64,{b64encode(picture).decode('ascii')}"


def human_seconds(seconds: float) -> str:
    """Seconds as a person reads them: 0.042, 0.38, 12.4."""
    if seconds < 0.1:
        return f"{seconds:.3f}"
    return f"{seconds:.2f}" if seconds < 10 else f"{seconds:.1f}"


def human_bytes(count: int) -> str:
    """Bytes in MiB or GiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def shown_language(words: Words) -> str:
    """The language as HTML's lang has it."""
    return "zh-CN" if words.language == "zh" else "en"
