"""The tiny bundle as something public: in a repository, as a torch file, in a zip."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.models.pulling.hub import Hub

REPOSITORY, ADAPTER = "someone/tiny", "someone/adapter"
UNET = "/someone/tiny/unet/diffusion_pytorch_model.safetensors"
BIN = "/someone/adapter/faceid.bin"
PACK = "/files/pack.zip"

HEAD = """
schema = 1
name = "public"
title = "Random weights, published"
licence = "Apache-2.0 and nothing else"
size = 128

[defaults]
steps = 3

[faces]
detector_sizes = [[128, 128]]
smallest_face = 24

[licences.free]
name = "Apache-2.0"
url = "https://www.apache.org/licenses/LICENSE-2.0"
allows = "Anything, with the notice kept."

[licences.research]
name = "Research only"
url = "https://example.org/licence"
allows = "No commercial use."
"""


def publish(bundle: Path, hub: Hub) -> str:
    """Serve a bundle's files as the public ones are; gives the description that names them."""
    text = HEAD + f'\n[archives."pack.zip"]\nurl = "{hub.url}{PACK}"\n'
    text += _component("pipeline", "diffusers-pipeline", f'hub = "{REPOSITORY}"\nrevision = "v1"')
    root = bundle / "pipeline"
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        inner = file.relative_to(root).as_posix()
        if inner == "scheduler/scheduler_config.json":
            text += f"[[component.file]]\nto = \"{inner}\"\nwrite = '''\n{file.read_text()}'''\n\n"
            continue
        hub.put(REPOSITORY, inner, file.read_bytes(), large=inner.endswith(".safetensors"))
        text += _file(inner, inner)
    hub.put(ADAPTER, "faceid.bin", torch_file(bundle), large=True)
    text += _component("ip-adapter", "ip-adapter-faceid", f'hub = "{ADAPTER}"\nrevision = "main"')
    text += _file("faceid.safetensors", "faceid.bin") + "convert = true\n\n"
    hub.files[PACK] = pack(bundle)
    text += _component("faces", "insightface-pack", 'archive = "pack.zip"', "research")
    return text + _file("det.onnx", "det.onnx") + "\n" + _file("rec.onnx", "rec.onnx")


def torch_file(bundle: Path) -> bytes:
    """The FaceID weights as they are published: a torch file of two dicts."""
    nested: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in load_file(bundle / "ip-adapter/ip-adapter-faceid.safetensors").items():
        prefix, _, rest = key.partition(".")
        nested[prefix][rest] = tensor
    stream = io.BytesIO()
    torch.save(nested, stream)
    return stream.getvalue()


def pack(bundle: Path, folder: str = "") -> bytes:
    """The face pack as it is published: a zip with more than is needed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("det.onnx", "rec.onnx"):
            archive.writestr(folder + name, (bundle / "faces" / name).read_bytes())
        archive.writestr(folder + "genderage.onnx", b"not needed")
    return stream.getvalue()


def _component(name: str, kind: str, common: str, licence: str = "free") -> str:
    head = f'[[component]]\nname = "{name}"\nkind = "{kind}"\nlicence = "{licence}"'
    return f"\n{head}\n{common}\n\n"


def _file(to: str, source: str) -> str:
    return f'[[component.file]]\nto = "{to}"\nfrom = "{source}"\n'
