"""Labels: a saved picture says that it was generated, and by what.

Two labels in the file itself: text chunks with the parameters as JSON (PNG), and an XMP packet with
IPTC's DigitalSourceType (PNG, JPEG, WebP). Names and pictures of people are in neither.
"""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path
from typing import Final, Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fusion.errors import InvalidRequest
from fusion.result import FusionResult

LABEL_KEY: Final = "Limner"
LABEL: Final = "AI-generated"
PARAMETERS_KEY: Final = "Limner parameters"
_SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
FREE_PORTRAIT: Final = _SOURCE_TYPES + "trainedAlgorithmicMedia"
INTO_TARGET: Final = _SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
PictureKind = Literal["png", "jpeg", "webp"]
FORMATS: Final[dict[str, PictureKind]] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
}
LARGEST_SIDE_PIXELS: Final = 8192
# Pillow's own is 6: 1 is much faster, for somewhat larger files.
_PNG_LEVEL: Final = 1

_XMP: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmp:CreatorTool="Limner" Iptc4xmpExt:DigitalSourceType="{source_type}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def save(result: FusionResult, path: str | Path, index: int = 0) -> Path:
    """Write picture `index` of a result, labelled; the file appears whole or not at all.

    The format goes by the name: .png, .jpg, .jpeg or .webp. Raises InvalidRequest for others,
    OSError where the file cannot be written.
    """
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InvalidRequest(
            f"{path.name}: pictures are saved as {', '.join(FORMATS)}; name the file so"
        )
    data = encode(result, index, kind)
    temporary = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def encode(
    result: FusionResult,
    index: int = 0,
    kind: PictureKind = "png",
    quality: int = 95,
    size: tuple[int, int] | None = None,
) -> bytes:
    """Picture `index` of a result as a labelled file's bytes.

    quality: of JPEG and WebP, 1 to 100. size: (width, height) in pixels to bring it to first, by
    Lanczos' filter; None leaves it as drawn. Raises InvalidRequest, and IndexError.
    """
    if kind not in FORMATS.values():
        kinds = ", ".join(dict.fromkeys(FORMATS.values()))
        raise InvalidRequest(f"a picture is not encoded as {kind}: give one of {kinds}")
    if not 1 <= quality <= 100:
        raise InvalidRequest(f"quality is {quality}: give a whole number from 1 to 100")
    if size is not None and not all(1 <= side <= LARGEST_SIDE_PIXELS for side in size):
        raise InvalidRequest(
            f"size {size[0]}×{size[1]} cannot be encoded: give both sides from 1 to "
            f"{LARGEST_SIDE_PIXELS} pixels"
        )
    image = result.images[index]
    if size is not None and size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    xmp = xmp_packet(result.request.fuses).encode()
    if kind == "png":
        labels = png_labels(result, index)
        image.save(stream, "PNG", pnginfo=labels, compress_level=_PNG_LEVEL)
    else:
        image.save(stream, kind.upper(), quality=quality, xmp=xmp)
    return stream.getvalue()


def png_labels(result: FusionResult, index: int) -> PngInfo:
    """The text chunks of a PNG: the label, the parameters, the XMP packet."""
    labels = PngInfo()
    labels.add_text(LABEL_KEY, LABEL)
    labels.add_itxt(PARAMETERS_KEY, json.dumps(parameters(result, index), ensure_ascii=False))
    labels.add_itxt("XML:com.adobe.xmp", xmp_packet(result.request.fuses))
    return labels


def parameters(result: FusionResult, index: int) -> dict[str, object]:
    """What drew the picture, as plain values; people appear by their weights only."""
    request, picture = result.request, result.pictures[index]
    return {
        "model": result.model,
        "model_digest": result.model_digest,
        "prompt": result.plan.prompt,
        "negative_prompt": result.plan.negative_prompt,
        "weights": [identity.weight for identity in request.identities],
        "target": request.fuses,
        "mask": request.masked,
        "seed": picture.seed,
        "steps": request.steps,
        "guidance_scale": request.guidance_scale,
        "identity_scale": picture.identity_scale,
        "strength": request.strength if request.fuses else 1.0,
        "scheduler": request.scheduler,
        "eta": request.eta,
        "size": list(result.images[index].size),
    }


def xmp_packet(fuses: bool) -> str:
    """The XMP packet. fuses: whether the picture is a composite with a given one."""
    return _XMP.format(source_type=INTO_TARGET if fuses else FREE_PORTRAIT)


def read_labels(path: str | Path) -> dict[str, str]:
    """The text labels of a PNG, empty for a picture without them."""
    with Image.open(path) as image:
        return {
            str(key): str(value)
            for key, value in image.info.items()
            if str(key).startswith(LABEL_KEY)
        }
