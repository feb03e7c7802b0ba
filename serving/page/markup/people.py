"""Who is in the portrait, and to which share; pictures with numbered faces."""

from __future__ import annotations

from collections.abc import Sequence

from serving.page.markup.pieces import data_url, escape
from serving.page.words import Words


def caption(words: Words, number: int, share: int | None) -> str:
    """Above a slot (number from 1): whose it is, and the share; None for no photo yet."""
    told = f"<b>{share} %</b>" if share is not None else ""
    return (
        f'<div class="lm-person p{number}"><span class="lm-dot"></span>'
        f"<span>{escape(words('people.person', number=number))}</span>{told}</div>"
    )


def shares_bar(words: Words, shares: Sequence[int | None]) -> str:
    """All shares as one bar; one person needs none."""
    given = [(number, share) for number, share in enumerate(shares, 1) if share is not None]
    if not given:
        return f'<p class="lm-faint lm-nobody">{escape(words("people.nobody"))}</p>'
    if len(given) == 1:
        return ""
    parts = "".join(
        f'<span class="p{number}" style="flex-grow:{max(share, 1)}"><i>{share} %</i></span>'
        for number, share in given
    )
    told = ", ".join(f"{words('people.person', number=n)} {share} %" for n, share in given)
    return f'<div class="lm-shares" role="img" aria-label="{escape(told)}">{parts}</div>'


def numbered_faces(
    picture: bytes, size: tuple[int, int], boxes: Sequence[tuple[int, int, int, int]]
) -> str:
    """The picture (width, height) with every face in a frame, numbered from 1 as the API does."""
    width, height = size
    mark = max(width, height) / 22
    frames = "".join(
        f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" rx="{mark / 3}"'
        f' stroke-width="{mark / 6}"/><circle cx="{left}" cy="{top}" r="{mark}"/>'
        f'<text x="{left}" y="{top}" font-size="{mark * 1.2}">{number}</text>'
        for number, (left, top, right, bottom) in enumerate(boxes, 1)
    )
    return (
        f'<svg class="lm-faces" viewBox="{-mark} {-mark} {width + 2 * mark} {height + 2 * mark}">'
        f'<image href="{data_url(picture)}" width="{width}" height="{height}"/>{frames}</svg>'
    )
