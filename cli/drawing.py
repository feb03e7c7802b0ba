"""Loading the engine and drawing a request, with a display that says how far it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.console import progress

if TYPE_CHECKING:
    from fusion import Engine, FusionRequest, FusionResult, Ledger

_DOING = {
    "load": "loading the models",
    "photos": "reading the photos",
    "analyse": "finding the faces",
    "blend": "blending the people",
    "prompt": "choosing the words",
    "condition": "encoding words and faces",
    "prepare": "preparing the canvas",
    "denoise": "painting",
    "decode": "decoding",
    "compose": "fitting into the target",
    "verify": "checking the likeness",
}


def load_engine(
    bundle: str,
    device: str = "auto",
    cache: Path | None = None,
    *,
    precision: str = "auto",
    backend: str = "auto",
    face_pack: str | None = None,
    memory: str = "normal",
    loras: Sequence[tuple[Path, float]] = (),
    ledger: "Ledger | None" = None,
) -> "Engine":
    """The engine of a bundle; a display says what takes the first seconds.

    The models themselves are loaded with the first request. cache: a folder of prompts encoded
    before, to start from. loras: files to merge, and how strongly. The others as
    `Engine.load` takes them.
    """
    with progress() as bar:
        bar.add_task("starting", total=None)
        from fusion import Engine, EngineSettings, PromptSettings

        settings = EngineSettings(prompts=PromptSettings(warm_from=cache))
        from models import read_lora

        read = [(path, read_lora(path), scale) for path, scale in loras]
        engine = Engine.load(
            bundle,
            device=device,
            precision=precision,
            backend=backend,
            settings=settings,
            face_pack=face_pack,
            memory=memory,
            ledger=ledger,
        )
        for path, weights, scale in read:
            engine.adapt(lambda stack, w=weights, n=path.stem, s=scale: stack.add(w, n, s))  # type: ignore[misc]
        return engine


def draw_request(engine: "Engine", request: "FusionRequest") -> "FusionResult":
    """Draw, showing stages and steps; Ctrl-C cancels between two steps."""
    with progress() as bar:
        task = bar.add_task("waiting", total=None)
        handle = engine.submit(request)
        try:
            for event in handle.events():
                if event.stage is None:
                    continue
                doing = _DOING.get(str(event.stage), str(event.stage))
                if event.attempt > 1:
                    doing += f", attempt {event.attempt}"
                bar.update(task, description=doing, completed=event.step, total=event.steps or None)
        except KeyboardInterrupt:
            handle.cancel()
            raise
        return handle.result()
