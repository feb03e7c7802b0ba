"""`limner models pull | show | remove | example`: public bundles, fetched and described."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption, examples

if TYPE_CHECKING:
    from models import Bundle, Licence, PullPlan, Source

NameOrFile = Annotated[
    str, typer.Argument(metavar="NAME|FILE.toml", help="A public bundle, or your own description.")
]


def pull(
    name: NameOrFile,
    accept_licences: Annotated[
        bool, typer.Option("--accept-licences", help="Accept what is shown, without being asked.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch a public bundle: shows files, sizes and licences, asks, resumes, verifies."""
    from cli.console import print_json, say
    from models import PullFailed, mend_bundle, plan_pull, read_source

    source = read_source(name)
    plan = plan_pull(source)
    if plan.here:
        plan = mend_bundle(source) or plan
    if plan.here:
        from models import open_bundle

        bundle = open_bundle(plan.directory.absolute())
        line = "is here already, every digest as it was locked"
    else:
        _show_plan(plan)
        _ask(plan, accept_licences)
        try:
            bundle = _fetch(plan)
        except KeyboardInterrupt:
            raise PullFailed(
                f"stopped; what came of {plan.source.name} is kept, and the same command goes on"
            ) from None
        line = "is complete"
    if as_json:
        print_json(_told(bundle))
    else:
        say(f"{bundle.name} {line}: {bundle.directory}; limner fuse --bundle {bundle.name} …")


def show(name: NameOrFile, as_json: JsonOption = False) -> None:
    """Show what a bundle, here or public, is made of: components, origins, licences."""
    from cli.console import print_json, say, table
    from models import list_bundles, list_sources, open_bundle, read_source

    if name in list_bundles() and name not in list_sources():
        bundle = open_bundle(name)
        if as_json:
            print_json(_told(bundle))
            return
        say(f"{bundle.manifest.title}: {bundle.directory}", first=f"{name}  ")
        table(
            ["component", "kind", "source", "licence"],
            [
                [part.name, part.kind.value, part.source, part.licence]
                for part in bundle.manifest.component
            ],
        )
        return
    source = read_source(name)
    if as_json:
        print_json(_described(source))
        return
    say(source.description.title, first=f"{source.name}  ")
    table(
        ["component", "kind", "source", "revision", "licence"],
        [
            [part.name, part.kind.value, part.source, part.revision, part.licence]
            for part in source.description.component
        ],
    )
    table(
        ["file", "MiB", "sha256"],
        [[file.target, _mib(file.size), (file.sha256 or "")[:12]] for file in source.files],
    )
    _show_licences(source.licences, to_result=True)


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A fetched bundle.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without being asked.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove a fetched bundle, and what is left of fetching it; never the one that ships."""
    from cli.console import print_json, say
    from cli.errors import OptionRejected
    from models import removable, remove_bundle

    there = removable(name)
    if not yes:
        if not sys.stdin.isatty():
            raise OptionRejected(f"removing {name} needs a yes: add --yes")
        typer.confirm(f"Remove {', '.join(map(str, there))}?", abort=True, err=True)
    removed = [str(path) for path in remove_bundle(name)]
    if as_json:
        print_json({"name": name, "removed": removed})
    else:
        say(f"removed {', '.join(removed)}")


def example() -> None:
    """Print a description of a bundle to begin with, every setting explained."""
    from models import source_example

    sys.stdout.write(source_example())


def register(group: typer.Typer) -> None:
    """Add the commands to `limner models`."""
    group.command(
        epilog=examples(
            ("limner models pull sd15-faceid", "stopped, the same command goes on"),
            ("limner models pull sd15-faceid --accept-licences", "without a question"),
            ("limner models pull my.toml", "a description of your own: limner models example"),
        )
    )(pull)
    group.command(
        epilog=examples(
            ("limner models show sdxl-faceid", "components, files and licences"),
            ("limner models show my.toml", "what your own description says"),
        )
    )(show)
    group.command(
        epilog=examples(
            ("limner models remove sd15-faceid", "asks before it does"),
            ("limner models remove sd15-faceid --yes", "does not ask"),
        )
    )(remove)
    group.command(
        epilog=examples(("limner models example > my.toml", "then: limner models pull my.toml"))
    )(example)


def _show_plan(plan: "PullPlan") -> None:
    """On stderr, so that stdout holds the result alone."""
    from cli.console import remark

    chain = [plan]
    while chain[-1].base is not None:
        chain.append(chain[-1].base)
    for one in reversed(chain):
        remark(f"{one.source.name}: {one.source.description.title}")
        for planned in one.files:
            way = "" if planned.how == "fetched" else f"  ({planned.how})"
            remark(f"  {_mib(planned.size):>8} MiB  {planned.file.target}{way}")
    resumed = sum(one.resumed_bytes for one in chain)
    remark(
        f"to fetch: {_mib(plan.total_fetch_bytes)} MiB"
        + (f", beside {_mib(resumed)} MiB that came earlier" if resumed else "")
        + f"; into {plan.directory}"
    )
    _show_licences(plan.licences, to_result=False)


def _show_licences(licences: "tuple[Licence, ...]", *, to_result: bool) -> None:
    from cli.console import remark, say

    tell = say if to_result else remark
    for licence in licences:
        tell(f"licence: {licence.name}  {licence.url}")
        tell(f"         {licence.allows}")


def _ask(plan: "PullPlan", accepted: bool) -> None:
    """Raises LicenceRefused unless the licences were accepted, beforehand or now."""
    from models import LicenceRefused

    if accepted:
        return
    if not sys.stdin.isatty():
        raise LicenceRefused(
            f"nobody can be asked here, so nothing of {plan.source.name} was fetched; to accept "
            "the licences shown above, add --accept-licences"
        )
    if not typer.confirm("Accept these licences, and fetch?", err=True):
        raise LicenceRefused(f"not accepted, so nothing of {plan.source.name} was fetched")


def _fetch(plan: "PullPlan") -> "Bundle":
    from cli.console import progress, remark, standard_error
    from models import pull_bundle

    quiet = not standard_error().is_terminal
    with progress(remaining=True) as bar:
        task = bar.add_task("fetching", total=plan.total_fetch_bytes)

        def begin(path: str) -> None:
            bar.update(task, description=path[-28:])
            if quiet:
                remark(f"fetching {path}")

        return pull_bundle(
            plan,
            licences_accepted=True,
            progress=lambda _, size: bar.advance(task, size),
            begin=begin,
        )


def _told(bundle: "Bundle") -> dict[str, object]:
    manifest = bundle.manifest.model_dump(mode="json", by_alias=True)
    return {**manifest, "digest": bundle.digest, "where": str(bundle.directory)}


def _described(source: "Source") -> dict[str, object]:
    from models import is_here

    return {
        **source.description.model_dump(mode="json", by_alias=True),
        "extends": source.base.name if source.base is not None else None,
        "here": is_here(source),
        "licences": [
            {"name": one.name, "url": one.url, "allows": one.allows} for one in source.licences
        ],
        "files": [
            {
                "path": file.target,
                "from": str(file.origin),
                "sha256": file.sha256,
                "bytes": file.size,
                "licence": file.licence.name,
            }
            for file in source.files
        ],
    }


def _mib(size: int | None) -> str:
    return "?" if size is None else f"{size / 2**20:.1f}"
