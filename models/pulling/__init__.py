"""Public bundles: described in TOML, fetched from where they are published, kept as bundles.

source.py     what a description says     plan.py       what fetching it will do
web.py        addresses and failures      download.py   one file, resumed and verified
content.py    zips and torch files        lock.py       where each file came from
staging.py    where a bundle grows        pull.py       all of it, in one move
"""

from models.pulling.plan import PlannedFile, PullPlan, is_here, plan_pull
from models.pulling.pull import mend_bundle, pull_bundle
from models.pulling.source import (
    Licence,
    Source,
    SourceFile,
    list_sources,
    read_source,
    source_example,
)
from models.pulling.staging import is_begun, removable, remove_bundle

__all__ = [
    "Licence",
    "PlannedFile",
    "PullPlan",
    "Source",
    "SourceFile",
    "is_begun",
    "is_here",
    "list_sources",
    "mend_bundle",
    "plan_pull",
    "pull_bundle",
    "read_source",
    "removable",
    "remove_bundle",
    "source_example",
]
