"""Device and precision are chosen for what the machine has, and never silently another."""

import pytest
import torch

from models import DeviceUnavailable, choose_device, choose_precision

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    def pretend(cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


def test_auto_prefers_the_fastest(machine) -> None:
    machine(cuda=2, mps=True)
    assert choose_device("auto") == torch.device("cuda", 0)
    machine(mps=True)
    assert choose_device() == MPS
    machine()
    assert choose_device("auto") == CPU


def test_what_is_asked_for_is_given(machine) -> None:
    machine(cuda=2)
    assert choose_device("cpu") == CPU
    assert choose_device(torch.device("cuda:1")) == torch.device("cuda", 1)


@pytest.mark.parametrize("device", ["cuda", "cuda:2", "mps", "xpu", "tpu9000", "meta", ""])
def test_what_is_not_here_is_refused(machine, device: str) -> None:
    machine()
    with pytest.raises(DeviceUnavailable, match="give"):
        choose_device(device)


def test_the_third_of_two_gpus_is_refused(machine) -> None:
    machine(cuda=2)
    with pytest.raises(DeviceUnavailable, match="2 CUDA devices"):
        choose_device("cuda:2")


@pytest.mark.parametrize(
    ("precision", "device", "dtype"),
    [
        ("auto", CPU, torch.float32),
        ("auto", CUDA, torch.float16),
        ("auto", MPS, torch.float16),
        ("fp32", CUDA, torch.float32),
        ("bf16", CPU, torch.bfloat16),
        ("float16", CUDA, torch.float16),
        (torch.float32, CPU, torch.float32),
    ],
)
def test_precisions(precision: str | torch.dtype, device: torch.device, dtype: torch.dtype) -> None:
    assert choose_precision(precision, device) is dtype


@pytest.mark.parametrize("precision", ["fp16", "int8", "", torch.float64, torch.float16])
def test_a_precision_the_cpu_computes_badly_or_not(precision: str | torch.dtype) -> None:
    with pytest.raises(DeviceUnavailable, match="give"):
        choose_precision(precision, CPU)
