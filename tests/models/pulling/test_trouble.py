"""Whatever breaks on the way is told in one line, and what came stays for the next time."""

import errno
import os
import pickle
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import httpx
import pytest

from models import ModelsError, PullBusy, PullFailed, SourceRejected, plan_pull, pull_bundle
from models.pulling import web as pulling_web
from models.pulling.staging import Place
from tests.models.pulling.conftest import Pull
from tests.models.pulling.hub import Hub
from tests.models.pulling.public import ADAPTER, BIN, PACK, REPOSITORY, UNET, pack

ROOT = Path(__file__).resolve().parents[3]
BIG = "unet/diffusion"


def refused(pull: Pull, kind: type[ModelsError], *words: str) -> str:
    """The one line of a pull that fails, holding these words; nothing is installed by it."""
    with pytest.raises(kind) as caught:
        pull()
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line, line
    assert not Place("public").directory.exists()
    return line


def part_bytes(folder: Path) -> int:
    """Bytes of the part that is being fetched; another process may just be moving it."""
    try:
        return max((part.stat().st_size for part in folder.glob("*.part")), default=0)
    except FileNotFoundError:
        return 0


class TestResuming:
    def test_cut_in_the_middle_only_the_rest_is_fetched(
        self, pull: Pull, hub: Hub, naps: list[float]
    ) -> None:
        hub.cuts[UNET] = [10_000, 20_000]
        pull()
        first, second, third = hub.gets(BIG)
        assert (first.range, second.range, third.range) == (None, "bytes=10000-", "bytes=30000-")
        assert first.sent + second.sent + third.sent == len(hub.files[UNET])
        assert len(naps) == 2

    def test_given_up_the_next_pull_goes_on(self, pull: Pull, hub: Hub) -> None:
        hub.cuts[UNET] = [10_000, 0, 0, 0, 0, 0]
        refused(pull, PullFailed, "broke off", "the same command goes on")
        hub.cuts.clear()
        hub.seen.clear()
        pull()
        assert [seen.range for seen in hub.gets(BIG)] == ["bytes=10000-"]
        assert not hub.gets("/someone/tiny/resolve/v1/model_index.json")

    def test_the_plan_counts_what_came_already(self, pull: Pull, manifest: Path, hub: Hub) -> None:
        whole = plan_pull(manifest).fetch_bytes
        hub.cuts[UNET] = [10_000, 0, 0, 0, 0, 0]
        refused(pull, PullFailed)
        plan = plan_pull(manifest)
        assert plan.resumed_bytes == 10_000
        assert plan.fetch_bytes < whole

    def test_a_server_without_ranges_begins_anew(self, pull: Pull, hub: Hub) -> None:
        hub.ranges, hub.cuts[UNET] = False, [10_000]
        pull()
        assert [seen.sent for seen in hub.gets(BIG)] == [10_000, len(hub.files[UNET])]

    def test_without_a_strong_etag_nothing_is_resumed(self, pull: Pull, hub: Hub) -> None:
        hub.etags, hub.cuts[UNET] = False, [10_000]
        pull()
        assert [seen.range for seen in hub.gets(BIG)] == [None, None]

    def test_a_file_that_changed_meanwhile_begins_anew(self, pull: Pull, hub: Hub) -> None:
        hub.cuts[BIN] = [5_000, 0, 0, 0, 0, 0]
        refused(pull, PullFailed)
        hub.cuts.clear()
        hub.put(ADAPTER, "faceid.bin", bytes(len(hub.files[BIN])), large=True)
        refused(pull, SourceRejected, "faceid.bin")  # all of it is the new content: no tensors
        assert hub.gets(BIN)[-1].sent == len(hub.files[BIN])

    def test_a_part_that_is_longer_than_the_file_begins_anew(self, pull: Pull, hub: Hub) -> None:
        hub.cuts[UNET] = [10_000, 0, 0, 0, 0, 0]
        refused(pull, PullFailed)
        hub.cuts.clear()
        (part,) = Place("public").downloads.glob("*.part")
        part.write_bytes(bytes(len(hub.files[UNET]) + 1))
        pull()
        assert hub.gets(BIG)[-1].range is None

    def test_a_whole_part_is_only_verified(self, pull: Pull, hub: Hub) -> None:
        hub.cuts[UNET] = [10_000, 0, 0, 0, 0, 0]
        refused(pull, PullFailed)
        hub.cuts.clear()
        hub.seen.clear()
        (part,) = Place("public").downloads.glob("*.part")
        part.write_bytes(hub.files[UNET])
        pull()
        assert hub.gets(BIG) == []

    def test_a_part_of_other_bytes_is_fetched_once_more(self, pull: Pull, hub: Hub) -> None:
        hub.cuts[UNET] = [10_000, 0, 0, 0, 0, 0]
        refused(pull, PullFailed)
        hub.cuts.clear()
        (part,) = Place("public").downloads.glob("*.part")
        part.write_bytes(bytes(10_000))
        pull()
        assert [seen.range for seen in hub.gets(BIG)][-2:] == ["bytes=10000-", None]

    def test_a_second_pull_is_told_and_a_killed_one_goes_on(
        self, pull: Pull, manifest: Path, hub: Hub
    ) -> None:
        hub.stalls[UNET] = 60_000
        code = "import sys; from cli import run; sys.exit(run(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "models", "pull", str(manifest)]
        command = [*command, "--accept-licences"]
        downloads, came = Place("public").downloads, 0
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + 60
                while (UNET in hub.stalls or came < 40_000) and time.monotonic() < deadline:
                    came = part_bytes(downloads)
                refused(pull, PullBusy, "another process")
            finally:
                process.send_signal(signal.SIGKILL)
        (part,) = downloads.glob("*.part")
        came = part.stat().st_size
        hub.go.set()
        hub.seen.clear()
        pull()
        assert came > 0
        assert [seen.range for seen in hub.gets(BIG)] == [f"bytes={came}-"]


class TestServers:
    def test_what_may_pass_is_tried_again(self, pull: Pull, hub: Hub, naps: list[float]) -> None:
        hub.statuses = {UNET: [500, 503], BIN: [429]}
        pull()
        assert naps == [0.5, 1.0, 0.5]

    def test_what_does_not_pass_is_given_up(self, pull: Pull, hub: Hub) -> None:
        hub.statuses[UNET] = [503] * 9
        refused(pull, PullFailed, "503", "try again later")

    def test_a_gated_repository_names_its_page_and_the_token(self, pull: Pull, hub: Hub) -> None:
        hub.gated.add(REPOSITORY)
        refused(pull, PullFailed, f"{hub.url}/{REPOSITORY}", "HF_TOKEN", "401")

    def test_a_file_that_is_not_there_is_named(self, pull: Pull, hub: Hub) -> None:
        del hub.files[BIN]
        refused(pull, PullFailed, "faceid.bin", "404")

    def test_no_network(self, pull: Pull, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
        refused(pull, PullFailed, "127.0.0.1 cannot be reached", "HF_ENDPOINT", "HTTPS_PROXY")

    def test_a_certificate_that_is_not_trusted(self) -> None:
        remote = pulling_web.WebFile("https://example.org/a")
        error = httpx.ConnectError("handshake")
        error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
        with (
            pytest.raises(PullFailed, match="not trusted") as caught,
            pulling_web.told_plainly(remote),
        ):
            raise error
        assert not isinstance(caught.value, pulling_web.Transient)

    def test_a_server_that_may_not_be_asked_is_only_fetched_from(
        self, pull: Pull, manifest: Path, hub: Hub
    ) -> None:
        hub.headless.add(PACK)
        assert plan_pull(manifest).fetch_bytes < sum(map(len, hub.files.values()))
        pull()

    def test_an_address_that_is_wrong(self, pull: Pull, hub: Hub, manifest: Path) -> None:
        manifest.write_text(manifest.read_text().replace(f"{hub.url}{PACK}", f"{hub.url}/nowhere"))
        refused(pull, PullFailed, "/nowhere", "404")


class TestContent:
    def test_a_flipped_byte_is_named_and_not_kept(
        self, pull: Pull, hub: Hub, manifest: Path
    ) -> None:
        text = manifest.read_text()
        line = 'from = "unet/diffusion_pytorch_model.safetensors"\n'
        manifest.write_text(text.replace(line, f'{line}sha256 = "{"0" * 64}"\n'))
        refused(pull, PullFailed, "unet/diffusion_pytorch_model.safetensors", "published", "000000")
        assert list(Place("public").downloads.glob("*.part")) == []

    def test_another_size_is_refused_before_it_comes(
        self, pull: Pull, hub: Hub, manifest: Path
    ) -> None:
        line = 'from = "unet/diffusion_pytorch_model.safetensors"\n'
        manifest.write_text(manifest.read_text().replace(line, f"{line}bytes = 7\n"))
        refused(pull, PullFailed, "expected 7")
        assert list(Place("public").downloads.glob("*.part")) == []

    def test_what_was_locked_once_must_come_again(self, pull: Pull, hub: Hub) -> None:
        bundle = pull()
        path = "/someone/tiny/unet/config.json"
        (bundle.directory / "pipeline/unet/config.json").unlink()
        hub.files[path] = hub.files[path].replace(b"16", b"61")
        with pytest.raises(PullFailed, match=r"unet/config\.json.*first pull"):
            pull()

    def test_a_pickle_with_code_is_not_run(self, pull: Pull, hub: Hub, tmp_path: Path) -> None:
        class Code:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return os.mkdir, (str(tmp_path / "ran"),)

        hub.put(ADAPTER, "faceid.bin", pickle.dumps({"image_proj": Code()}), large=True)
        refused(pull, SourceRejected, "faceid.bin", "code", "safetensors")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("data", [b"", b"no torch file", pickle.dumps([1, 2])])
    def test_a_torch_file_without_tensors(self, pull: Pull, hub: Hub, data: bytes) -> None:
        hub.put(ADAPTER, "faceid.bin", data, large=True)
        refused(pull, SourceRejected, "faceid.bin")

    def test_safetensors_cut_short_at_their_origin(self, pull: Pull, hub: Hub) -> None:
        hub.files[UNET] = hub.files[UNET][:-10]
        refused(pull, SourceRejected, "unet", "no whole safetensors")

    @pytest.mark.parametrize("name", ["../det.onnx", "/etc/det.onnx", "a/../../det.onnx"])
    def test_a_zip_that_leads_out_of_itself(
        self, pull: Pull, hub: Hub, tiny_bundle: Path, name: str, tmp_path: Path
    ) -> None:
        hub.files[PACK] = pack(tiny_bundle, name.removesuffix("det.onnx"))
        refused(pull, SourceRejected, "leads out of it")
        assert not list(tmp_path.rglob("*.onnx"))

    def test_a_zip_that_is_none_and_one_without_the_member(
        self, pull: Pull, hub: Hub, manifest: Path
    ) -> None:
        whole, hub.files[PACK] = hub.files[PACK], b"not a zip"
        refused(pull, SourceRejected, "no zip")
        hub.files[PACK] = whole
        manifest.write_text(manifest.read_text().replace('from = "det.onnx"', 'from = "x.onnx"'))
        refused(pull, SourceRejected, "x.onnx", "genderage.onnx")


class TestRoom:
    def test_no_room_is_found_before_the_first_byte(
        self, pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1 << 20))
        refused(pull, PullFailed, "1 MiB free", "LIMNER_BUNDLES")
        assert hub.gets("") == []

    def test_a_disk_that_runs_full_keeps_what_came(self, manifest: Path, hub: Hub) -> None:
        came: list[int] = []

        def full(path: str, size: int) -> None:
            came.append(size)
            if sum(came) > 500_000:
                raise OSError(errno.ENOSPC, "No space left on device", path)

        plan = plan_pull(manifest)
        with pytest.raises(PullFailed, match="no room is left"):
            pull_bundle(plan, licences_accepted=True, progress=full)
        assert list(Place("public").downloads.glob("*.part"))
        pull_bundle(plan_pull(manifest), licences_accepted=True)
