"""Labels: a saved picture says that it was generated, and by what.

Two labels in the file itself: text chunks with the parameters as JSON (PNG), and an XMP packet with
IPTC's DigitalSourceType (PNG, JPEG, WebP). Names and pictures of people are in neither.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Final

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
FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

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
    temporary = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        with temporary.open("xb") as stream:
            xmp = xmp_packet(result.request.fuses).encode()
            image = result.images[index]
            if kind == "PNG":
                image.save(stream, "PNG", pnginfo=png_labels(result, index))
            elif kind == "JPEG":
                image.save(stream, "JPEG", quality=95, xmp=xmp)
            else:
                image.save(stream, "WEBP", quality=95, xmp=xmp)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


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
