"""`limner serve`: the portrait API, and the page."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import OptionRejected
from cli.options import (
    BackendOption,
    BundleOption,
    FacePackOption,
    MemoryOption,
    PrecisionOption,
    examples,
)

if TYPE_CHECKING:
    from serving import Server, ServerSettings

EXAMPLES = examples(
    ("limner serve", "the API on this machine; the first start shows a key"),
    ("limner serve --page", "the web page too"),
    ("limner serve --host 0.0.0.0 --database postgresql+psycopg://limner@db/limner", "for others"),
    ("limner serve --alias gpt-image-1", "for a client that cannot say another model's name"),
    ("limner serve --prices prices.toml", "what requests cost, in the books and in answers"),
    ("limner keys add ada", "another key"),
)

FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Where requests, keys and the secret are kept; else $LIMNER_DATA, else your own data "
        "folder.",
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Another database than the SQLite file in the data folder."),
]


def serve(
    bundle: BundleOption = "mini",
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8188,
    page: Annotated[bool, typer.Option("--page", help="Serve the web page as well.")] = False,
    data: FolderOption = None,
    database: DatabaseOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: PrecisionOption = "auto",
    backend: BackendOption = "auto",
    memory: MemoryOption = "normal",
    faces_pack: FacePackOption = None,
    alias: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another name of the model.")
    ] = None,
    queue: Annotated[
        int, typer.Option(min=1, help="Requests that may wait; more are told to come back.")
    ] = 64,
    rate: Annotated[int, typer.Option(min=1, help="Requests a minute of a key.")] = 240,
    keep_hours: Annotated[
        float, typer.Option(min=0.01, help="How long finished portraits can be looked up.")
    ] = 24.0,
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="A price table (TOML); else $LIMNER_PRICES, else everything is free.",
        ),
    ] = None,
    drain_seconds: Annotated[
        float, typer.Option(min=0, help="For work to end in when the server is asked to stop.")
    ] = 30.0,
    new_key: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Show a new key of this name; one before it ends."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="One line on stderr for each request.")
    ] = False,
) -> None:
    """Serve the portrait API: OpenAI's Images API and /v1/portraits, with keys.

    Everything needs a key (`limner keys`). Ctrl-C or SIGTERM lets the work end first; what it has
    accepted is never lost, and is finished after the next start.
    """
    from cli.console import progress, say

    require_extra(page)
    with progress() as bar:
        bar.add_task("starting", total=None)
        import serving

        settings = serving.ServerSettings(
            bundle=bundle,
            device=device,
            precision=precision,
            backend=backend,
            memory=memory,
            face_pack=faces_pack,
            host=host,
            port=port,
            folder=data or serving.default_folder(),
            database=database,
            aliases=tuple(alias or ()),
            retention_seconds=keep_hours * 3600,
            drain_seconds=drain_seconds,
            page=page,
            prices=prices or serving.default_prices(),
            limits=serving.Limits(waiting=queue, requests_per_minute=rate),
        )
        serving.log_to_stderr(verbose)
        server = serving.make_server(settings)
    token = _first_key(server, new_key)
    serving.serve(server, lambda url: _tell(url, settings, token))
    say("the server has ended")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("serve", epilog=EXAMPLES)(serve)


def require_extra(page: bool = False) -> None:
    """Refuse in a line where what the server needs is not installed. Raises OptionRejected."""
    from importlib.util import find_spec

    needed = ["fastapi", "uvicorn", "multipart", "sqlalchemy", "cryptography", "prometheus_client"]
    wanted = "page" if page else "serve"
    missing = [name for name in [*needed, *(["gradio"] if page else [])] if not find_spec(name)]
    if missing:
        raise OptionRejected(
            f"{', '.join(missing)} is not installed: pip install 'limner[{wanted}]' brings what "
            "the server needs"
        )


def _first_key(server: "Server", name: str | None) -> str | None:
    """A token to show: of the key asked for, or of the first key there ever was."""
    from serving import KeyUnknown

    if name is None:
        if server.keys.list():
            return None
        name = "first"
    else:
        with suppress(KeyUnknown):
            server.keys.revoke(name)
    return server.keys.add(name)[1]


def _tell(url: str, settings: "ServerSettings", token: str | None) -> None:
    from cli.console import say

    say(f" serves {settings.bundle}; Ctrl-C ends it", first=url)
    shown = token or "$LIMNER_KEY"
    if token is None:
        say("keys: `limner keys list`, `limner keys add NAME`; here $LIMNER_KEY stands for yours")
    else:
        say(f"your key, shown this once: {token}")
    if settings.page:
        say(f"the page: {url}/page" + (f"?key={token}" if token else ""))
    say("try it:")
    say(f'  curl {url}/v1/images/generations -H "Authorization: Bearer {shown}" \\')
    say("    -H 'Content-Type: application/json' \\")
    say('    -d \'{"prompt": "a smiling old man with a hat"}\' \\')
    say("    | python3 -c 'import base64, json, sys; "
        'open("portrait.png", "wb").write('
        'base64.b64decode(json.load(sys.stdin)["data"][0]["b64_json"]))\'')  # fmt: skip
