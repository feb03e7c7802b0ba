"""The door of the command line: which commands there are, and how a failure is told.

Nothing heavy is imported here or in any command's module: `limner --help` answers at once, and each
command imports what it needs when it runs.
"""

import logging
import os
import sys
import warnings
from collections.abc import Sequence

import typer

from cli import (
    ab,
    bench,
    cache,
    compiling,
    costs,
    demo,
    faces,
    fuse,
    keys,
    models,
    people,
    prompt,
    serve,
    train,
)
from cli.errors import explain
from cli.options import examples

app = typer.Typer(
    name="limner",
    help="Limner paints portraits: photos of one or several people and a few words go in, a "
    "portrait that keeps the identity and obeys the words comes out.",
    epilog=examples(
        ("limner people 2 -o people/", "two new people to play with"),
        ("limner fuse --help", "what can be made of them"),
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
fuse.register(app)
people.register(app)
faces.register(app)
prompt.register(app)
cache.register(app)
serve.register(app)
keys.register(app)
models.register(app)
train.register(app)
compiling.register(app)
bench.register(app)
ab.register(app)
costs.register(app)
demo.register(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 bad input, 1 a fault of ours.

    A failure is one line on stderr. With LIMNER_DEBUG=1 in the environment the exception is raised.
    """
    _quieten_libraries()
    command = typer.main.get_command(app)
    try:
        outcome = command.main(
            args=list(sys.argv[1:] if arguments is None else arguments),
            prog_name="limner",
            standalone_mode=False,
        )
    except KeyboardInterrupt:
        print("limner: stopped", file=sys.stderr)
        return 130
    except Exception as error:
        if os.environ.get("LIMNER_DEBUG"):
            raise
        failure = explain(error)
        if failure.line:
            print(f"limner: {failure.line}", file=sys.stderr)
        return failure.exit_code
    return outcome if isinstance(outcome, int) else 0


def _quieten_libraries() -> None:
    """Keep the libraries' own chatter off stderr, and off the network."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in ("torchao", "torch.utils._pytree"):  # diffusers imports it where it is installed
        logging.getLogger(name).setLevel(logging.ERROR)
    if not os.environ.get("LIMNER_DEBUG"):
        warnings.simplefilter("ignore")
