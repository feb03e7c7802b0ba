"""HTTP API and web page: keys, jobs that survive the process, OpenAI's shapes and ours.

Importing this package costs nothing; the web framework arrives with the first name that needs it
(the extra `serve`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.app import Server, make_server
    from serving.database import Database, DatabaseUnusable
    from serving.errors import (
        KeyUnknown,
        NameTaken,
        SecretMissing,
        ServingError,
    )
    from serving.keys import ApiKey, KeyStore, Scope
    from serving.server import log_to_stderr, serve
    from serving.settings import Limits, ServerSettings, default_folder, default_prices

_HOMES = {
    "app": ("Server", "make_server"),
    "database": ("Database", "DatabaseUnusable"),
    "errors": ("KeyUnknown", "NameTaken", "SecretMissing", "ServingError"),
    "keys": ("ApiKey", "KeyStore", "Scope"),
    "server": ("log_to_stderr", "serve"),
    "settings": ("Limits", "ServerSettings", "default_folder", "default_prices"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ApiKey",
    "Database",
    "DatabaseUnusable",
    "KeyStore",
    "KeyUnknown",
    "Limits",
    "NameTaken",
    "Scope",
    "SecretMissing",
    "Server",
    "ServerSettings",
    "ServingError",
    "default_folder",
    "default_prices",
    "log_to_stderr",
    "make_server",
    "serve",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
