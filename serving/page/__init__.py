"""The web page: Gradio in front, the server's own API behind.

Importing this costs nothing; Gradio arrives with the first `mount_page`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["mount_page"]


def mount_page(app: FastAPI, *, api: str | Callable[[], str], path: str = "/page") -> FastAPI:
    """The app with the page at `path`: for who has a key that the API takes, and nobody else.

    api: the API's own address, such as "http://127.0.0.1:8188", or what gives it once it is known.
    Uploaded and painted pictures lie in a folder of this process's own, for hours at most.
    Raises ImportError where Gradio is not installed.
    """
    from serving.page.mounting import mount

    return mount(app, api if callable(api) else lambda: api, path)
