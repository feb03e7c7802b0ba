"""The page put into a server's application, behind its guard."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from starlette.routing import Mount

from serving.page.client import PortraitApi
from serving.page.front import Front
from serving.page.guard import KeyCheck, PageGuard
from serving.page.login import Login

if TYPE_CHECKING:
    from fastapi import FastAPI

_LARGEST_PHOTO: Final = "12mb"


def mount(app: FastAPI, api: Callable[[], str], path: str) -> FastAPI:
    """See `serving.page.mount_page`."""
    # Gradio reads these from the environment alone. Its usual folder is open to the machine's
    # other users, and pictures of people lie in it.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="limner-page-"))
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from gradio import mount_gradio_app

    from serving.page.build import build
    from serving.page.theme import style_sheet, theme

    client = PortraitApi(api)
    check = KeyCheck(client)
    login = Login(path, check)
    app.router.routes.extend(login.routes)
    mount_gradio_app(
        app,
        build(client, path),
        path,
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=_LARGEST_PHOTO,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        theme=theme(),
        css=style_sheet(),
    )
    guarded = [r for r in app.router.routes if isinstance(r, Mount) and r.path == path]
    if len(guarded) != 1:
        raise RuntimeError(f"the page is not where it was mounted, at {path}")
    # Around the mounted application itself: whatever way leads to it leads through the guard.
    guarded[0].app = PageGuard(Front(guarded[0].app), check=check, login=f"{path}/login")
    return app
