"""The page put into a server's application, behind its guard."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Mount

from serving.page.client import PortraitApi
from serving.page.folder import looked_after, new_folder
from serving.page.front import Front
from serving.page.guard import KeyCheck, PageGuard
from serving.page.login import Login

if TYPE_CHECKING:
    from fastapi import FastAPI

_LARGEST_PHOTO: Final = "12mb"


def mount(app: FastAPI, api: Callable[[], str], path: str) -> FastAPI:
    """See `serving.page.mount_page`."""
    folder = new_folder()
    # Gradio reads these from the environment alone. Its usual folder is open to the machine's
    # other users, and pictures of people lie in it.
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
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
    app.router.lifespan_context = _with_folder(app, folder)
    # Around the mounted application itself: whatever way leads to it leads through the guard.
    guarded[0].app = PageGuard(Front(guarded[0].app), check=check, login=f"{path}/login")
    return app


def _with_folder(app: FastAPI, folder: Path) -> Any:
    """The application's lifespan, with the folder looked after for as long."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncIterator[Mapping[str, Any] | None]:
        async with looked_after(folder), inner(running) as state:
            yield state

    return lifespan
