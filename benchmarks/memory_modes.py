"""What decoding takes in each memory mode, by an autoencoder of SD 1.5's public shape.

Random weights: as fast and as large as the real one. How far a tiled picture is from the whole one
is told too, and says little about the real weights: group norms of random layers amplify
differently. Each mode decodes each size in a process of its own, whose peak is its own.

    python benchmarks/memory_modes.py
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from _record import record
from diffusers import AutoencoderKL

from fusion.memory import peak_resident_bytes
from fusion.stages.decode import decode
from models import apply_memory_mode

SIDES = (512, 1024)  # pixels
MODES = ("high", "low")  # a single picture is decoded in normal as in high
MIB = 2**20


def autoencoder() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=512, scaling_factor=0.18215,
    ).eval()  # fmt: skip


@torch.inference_mode()
def child(mode: str, side: int, file: str) -> None:
    """Decode one picture in a mode; figures to stdout, the picture to a file."""
    vae = autoencoder()
    apply_memory_mode(mode, torch.nn.Identity(), vae, [], torch.device("cpu"))
    latents = torch.randn(1, 4, side // 8, side // 8, generator=torch.Generator().manual_seed(1))
    before = peak_resident_bytes()
    started = time.process_time()  # of the processor's: other programs do not count
    pixels = decode(vae, latents)
    seconds = time.process_time() - started
    np.save(file, pixels)
    print(json.dumps([seconds, before, peak_resident_bytes()]))


def psnr(one: Path, other: Path) -> float:
    """dB, 100 where they are the same."""
    apart = np.load(one).astype(np.float64) - np.load(other).astype(np.float64)
    error = float((apart**2).mean())
    return 100.0 if error == 0 else min(100.0, float(10 * np.log10(255**2 / error)))


def main() -> None:
    figures: dict[str, float | int | str] = {
        "weights": "random, Stable Diffusion 1.5's shape, float32",
        "threads": torch.get_num_threads(),
    }
    with tempfile.TemporaryDirectory() as folder:
        for side in SIDES:
            files = {mode: Path(folder) / f"{mode}_{side}.npy" for mode in MODES}
            for mode, file in files.items():
                told = subprocess.run(
                    [sys.executable, __file__, mode, str(side), str(file)],
                    stdout=subprocess.PIPE, check=True,
                )  # fmt: skip
                seconds, before, peak = json.loads(told.stdout)
                figures[f"{mode}_{side}_cpu_seconds"] = seconds
                figures[f"{mode}_{side}_peak_mib"] = round(peak / MIB)
                figures[f"{mode}_{side}_added_mib"] = round((peak - before) / MIB)
            figures[f"low_{side}_psnr_db"] = psnr(files["low"], files["high"])
    record("memory_modes", figures)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        child(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    else:
        main()
