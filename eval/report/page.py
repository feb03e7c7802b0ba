"""One HTML file with everything in it; no part of it is fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

_HERE: Final = Path(__file__).parent


def render_page(
    folder: Path, scripts: Sequence[str], data: str, values: Mapping[str, object]
) -> str:
    """The page of `folder`/page.html.j2, with its style.css and `scripts` after those of all
    reports. data: JSON as `for_script` writes it. values: what the template asks for.
    """
    style = _text(_HERE / "base.css") + _text(folder / "style.css")
    script = _text(_HERE / "base.js") + "".join(_text(folder / name) for name in scripts)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_text(folder / "page.html.j2")).render(
        style=Markup(style),
        script=Markup(script),
        script_hash=_csp_hash(script),
        data=Markup(data),
        **values,
    )


def for_script(data: object) -> str:
    """JSON that no text in it can end: a name may be </script>."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")
