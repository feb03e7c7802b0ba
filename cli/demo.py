"""`limner demo`: what Limner does, in a minute, on six people nobody has seen before."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import BundleOption, examples

if TYPE_CHECKING:
    from cli.scores import Score
    from cli.showcase import Painted

SHEET = "demo.png"
EXAMPLES = examples(
    ("limner demo", "leaves out/demo.png and every picture beside it"),
    ("limner demo --seed 11 -o elsewhere/", "six other people"),
)


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the pictures go.")
    ] = Path("out"),
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same people and pictures.")] = 7,
    bundle: BundleOption = "mini",
) -> None:
    """Draw six new people, fuse them by weight, by words and into portraits, and judge the results.

    Leaves one labelled sheet, demo.png, and every picture as its own file.
    """
    from cli.console import say, tracked
    from cli.demo_sheet import demo_sheet
    from cli.drawing import load_engine
    from cli.outputs import (
        check_directory,
        check_files,
        image_writer,
        portrait_writer,
        write_all,
    )
    from cli.scores import Jury
    from cli.showcase import CAST, Painted, meet_models, plan
    from eval import open_judges
    from models import FaceAnalyser, open_bundle

    check_directory(output)
    opened = open_bundle(bundle)
    judges = open_judges(opened)
    models = tuple(tracked(meet_models(seed), "drawing six new people", len(CAST)))
    programme = plan(models)
    commissions = tuple(programme.commissions())
    people = output / "people"
    photos = {people / f"{model.name.lower()}.png": model.person.picture for model in models}
    portraits = [output / commission.file for commission in commissions]
    check_files([*photos, *portraits, output / SHEET])
    engine = load_engine(bundle)
    results = engine.fuse_all(commission.request(seed) for commission in commissions)
    drawn = tracked(results, "painting their portraits", len(commissions))
    painted = [Painted(*pair) for pair in zip(commissions, drawn, strict=True)]
    jury = Jury(judges, FaceAnalyser(opened), models)
    scores = [jury.score(item) for item in tracked(painted, "judging the portraits", len(painted))]
    marks = jury.ceiling(), jury.floor()
    page = demo_sheet(programme, painted, scores)
    write_all(
        {path: image_writer(photo, path) for path, photo in photos.items()}
        | {
            path: portrait_writer(item.result)
            for path, item in zip(portraits, painted, strict=True)
        }
        | {output / SHEET: image_writer(page, output / SHEET)}
    )
    _tell(painted, scores, *marks)
    say()
    say(" has it all on one sheet; every picture lies beside it.", first=str(output / SHEET))
    say()
    say(first="Try next")
    say(f"  limner fuse -i {people / 'ben.png'} -i {people / 'finn.png'}:0.5 --set hat -o mine.png")
    say(f"  limner fuse -i {people / 'cleo.png'} --target {people / 'eve.png'} -o swapped.png")
    say(f"  limner demo --seed {seed + 1}          # six other people")
    say("  limner models card mini       # what the bundle reaches, measured on many more")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo", epilog=EXAMPLES)(demo)


def _tell(
    painted: "Sequence[Painted]", scores: "Sequence[Score]", ceiling: float, floor: float
) -> None:
    """Identity, attributes, tokens, time and memory, as tables on stdout."""
    from cli.console import say, table
    from cli.report import stage_rows

    rows = [
        [item.commission.file, item.commission.caption, _likeness(item, score), _kept(score)]
        for item, score in zip(painted, scores, strict=True)
    ]
    table(["picture", "shows", "identity", "attributes"], rows, title="What was painted")
    say(
        "identity: the judge's similarity to each person's photo; another real picture of the same "
        f"person has {ceiling:.2f} on average, somebody else's {floor:.2f}"
    )
    obeyed = [entry for score in scores for entry in score.obeyed]
    held = sum(entry.holds for entry in obeyed)
    say(f"attributes obeyed, by the judge: {held} of {len(obeyed)}")
    missed = sorted({f"{e.attribute} {e.asked} (seen {e.seen})" for e in obeyed if not e.holds})
    if missed:
        say(f"missed: {', '.join(missed)}")
    usages = [item.result.usage for item in painted]
    tokens = sum(usage.tokens for usage in usages) / len(usages)
    baseline = sum(usage.baseline_tokens for usage in usages) / len(usages)
    say(f"tokens: {tokens:.0f} a prompt; the same in ordinary words {baseline:.0f}")
    table(
        ["stage", "seconds a picture", "share", "memory it added"],
        stage_rows([item.result for item in painted]),
        title=f"Time and memory by stage, {len(painted)} pictures",
    )
    peak = max(usage.peak_memory_bytes for usage in usages)
    say(f"memory of the process at its most: {peak / 2**20:.0f} MiB")


def _likeness(item: "Painted", score: "Score") -> str:
    return ", ".join(f"{name} {score.similarity[name]:.2f}" for name in item.commission.people)


def _kept(score: "Score") -> str:
    if not score.obeyed:
        return ""
    return f"{sum(entry.holds for entry in score.obeyed)} of {len(score.obeyed)}"
