"""The demo's sheet: people, targets and results on one labelled page."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cli.scores import Score
from cli.showcase import Commission, Model, Painted, Programme

if TYPE_CHECKING:
    from PIL.Image import Image

    from eval import Tile

TILE = 176  # side of a picture on the sheet, in pixels
_SAID = ("age", "expression", "glasses", "hat", "beard", "earrings", "clothing", "background")


def demo_sheet(
    programme: Programme, painted: Sequence[Painted], scores: Sequence[Score]
) -> "Image":
    """One page with everything the demo drew."""
    from eval import Section, sheet

    results = {
        item.commission.file: (item, score) for item, score in zip(painted, scores, strict=True)
    }

    def tiles(commissions: Iterable[Commission]) -> "list[Tile]":
        return [_result(*results[commission.file]) for commission in commissions]

    first, second = (model for model, _ in programme.by_weight[0].sources)
    couples: list[Tile] = []
    for commission in programme.into_target:
        (source, _), *_ = commission.sources
        assert commission.target is not None
        couples += [_source(source, "face"), _target(commission.target), *tiles([commission])]
    sitter, _ = programme.one_person[0].sources[0]
    sections = [
        Section(
            title="Six new people",
            note="Drawn by the world's renderer; no model has ever seen them.",
            rows=[[_source(model, _shown(model)) for model in programme.models]],
        ),
        Section(
            title="Two people by weight",
            note=f"All of them: {_spoken(programme.by_weight[0])}.",
            rows=[[_source(first), *tiles(programme.by_weight), _source(second)]],
        ),
        Section(
            title="A face in another's portrait",
            note="The face comes from the first; the words name the second's age and mood.",
            rows=[couples],
        ),
        Section(
            title="The same person, different words",
            rows=[[_source(sitter), *tiles(programme.one_person)]],
        ),
        Section(
            title="Different people, the same words",
            note=f"All of them: {_spoken(programme.one_wording[0])}.",
            rows=[tiles(programme.one_wording)],
        ),
    ]
    return sheet(
        "Limner",
        sections,
        subtitle="Faces fused into portraits under the control of words",
        footer="Numbers: similarity to the person's photo, by a judge that never took part in "
        "drawing; and the attributes obeyed.",
        tile=TILE,
    )


def _source(model: Model, detail: str = "") -> "Tile":
    from eval import Tile

    return Tile(model.person.picture, caption=model.name, detail=detail, tone="source")


def _target(model: Model) -> "Tile":
    from eval import Tile

    return Tile(model.person.picture, caption=model.name, detail="target", tone="target")


def _result(item: Painted, score: Score) -> "Tile":
    from eval import Tile

    people = item.commission.people
    if len(people) == 1:
        likeness = f"like the photo {score.similarity[people[0]]:.2f}"
    else:
        likeness = ", ".join(f"{name} {score.similarity[name]:.2f}" for name in people)
    if score.obeyed:
        likeness += f"; {sum(entry.holds for entry in score.obeyed)}/{len(score.obeyed)} words"
    return Tile(item.picture, caption=item.commission.caption, detail=likeness, tone="result")


def _shown(model: Model) -> str:
    shown = {key: model.person.attributes[key] for key in _SAID if key in model.person.attributes}
    worn = [key for key in ("glasses", "beard", "earrings") if shown.get(key)]
    return ", ".join([str(shown["age"]), str(shown["expression"]), *worn])


def _spoken(commission: Commission) -> str:
    """The words of a commission as its prompt says them, without the subject."""
    from prompting import Attributes, structured_prompt

    words = {key: value for key, value in commission.words.items() if key != "gender"}
    return structured_prompt(Attributes(**words)).partition(", ")[2]
