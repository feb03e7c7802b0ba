"""A public bundle arrives whole, loads offline, and says where it came from."""

import hashlib
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from models import (
    LicenceRefused,
    PullBusy,
    PullFailed,
    SourceRejected,
    load_components,
    mend_bundle,
    open_bundle,
    plan_pull,
    pull_bundle,
    read_source,
    remove_bundle,
    verify_bundle,
)
from models.pulling.staging import Place
from tests.models.pulling.conftest import Pull
from tests.models.pulling.hub import COMMIT, Hub
from tests.models.pulling.public import ADAPTER, BIN, PACK, UNET, pack

STANDS = "public"


def entries(shelf: Path) -> list[str]:
    return sorted(path.name for path in shelf.iterdir()) if shelf.exists() else []


def test_it_loads_offline_with_the_very_weights(
    pull: Pull, hub: Hub, tiny_bundle: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = pull()
    hub.files.clear()  # nothing is there to be fetched any more
    assert bundle.directory == shelf / STANDS
    assert entries(shelf) == [STANDS]
    got, given = load_components(bundle), load_components(open_bundle(tiny_bundle))
    assert got.has_identity
    for name, tensor in given.unet.state_dict().items():
        assert torch.equal(got.unet.state_dict()[name], tensor), name
    assert sorted(path.name for path in (bundle.directory / "faces").iterdir()) == [
        "det.onnx",
        "rec.onnx",
    ]
    assert verify_bundle(open_bundle(STANDS)) > 10


def test_the_lock_says_where_each_file_came_from(pull: Pull, hub: Hub) -> None:
    bundle = pull()
    lock = tomllib.loads((bundle.directory / "sources.lock.toml").read_text())
    files = {record["path"]: record for record in lock["file"]}
    assert len(files) == sum(1 for _ in bundle.files())
    unet = files["pipeline/unet/diffusion_pytorch_model.safetensors"]
    assert unet["sha256"] == unet["kept"] == hashlib.sha256(hub.files[UNET]).hexdigest()
    assert (unet["bytes"], unet["commit"], unet["vouched"]) == (len(hub.files[UNET]), COMMIT, "hub")
    converted = files["ip-adapter/faceid.safetensors"]
    assert converted["sha256"] == hashlib.sha256(hub.files[BIN]).hexdigest()
    assert converted["sha256"] != converted["kept"]
    assert files["faces/det.onnx"]["url"] == f"{hub.url}{PACK}"
    assert files["pipeline/unet/config.json"]["vouched"] == "first pull"


def test_a_refused_licence_leaves_nothing_and_fetches_nothing(
    manifest: Path, hub: Hub, shelf: Path
) -> None:
    plan = plan_pull(manifest)
    assert [licence.name for licence in plan.licences] == ["Apache-2.0", "Research only"]
    with pytest.raises(LicenceRefused, match="not accepted"):
        pull_bundle(plan, licences_accepted=False)
    assert entries(shelf) == []
    assert all(seen.method == "HEAD" for seen in hub.seen), "sizes alone were asked for"


def test_the_plan_knows_every_byte_before_the_first(manifest: Path, hub: Hub) -> None:
    plan = plan_pull(manifest)
    assert plan.fetch_bytes == sum(len(data) for data in hub.files.values())
    assert plan.room_bytes > plan.fetch_bytes
    counted: list[int] = []
    pull_bundle(plan, licences_accepted=True, progress=lambda _, size: counted.append(size))
    assert sum(counted) == plan.fetch_bytes


def test_what_is_here_is_not_fetched_again(pull: Pull, manifest: Path, hub: Hub) -> None:
    pull()
    hub.seen.clear()
    assert plan_pull(manifest).here
    assert mend_bundle(read_source(manifest)) is None
    pull()
    assert hub.seen == []


def test_a_byte_that_changed_on_this_disk_is_mended_alone(
    pull: Pull, manifest: Path, hub: Hub
) -> None:
    bundle = pull()
    file = bundle.directory / "pipeline/unet/diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    hub.seen.clear()
    plan = mend_bundle(read_source(manifest))
    assert plan is not None
    assert plan.fetch_bytes == len(data)
    verify_bundle(pull_bundle(plan, licences_accepted=True))
    assert {seen.path for seen in hub.gets("")} == {f"/store{UNET}"}


def test_two_do_not_mend_one_bundle_at_once(pull: Pull, manifest: Path, shelf: Path) -> None:
    file = pull().directory / "pipeline/unet/diffusion_pytorch_model.safetensors"
    whole, source = file.read_bytes(), read_source(manifest)
    with Place(source.name).alone():
        assert mend_bundle(source) is None, "to look takes no lock"
        file.write_bytes(b"damaged")
        with pytest.raises(PullBusy, match="another process is at work"):
            mend_bundle(source)
        assert file.read_bytes() == b"damaged"
    assert mend_bundle(source) is not None
    assert pull().directory == shelf / source.name
    assert file.read_bytes() == whole


def test_another_description_takes_over_what_is_the_same(
    pull: Pull, manifest: Path, hub: Hub
) -> None:
    pull()
    text = manifest.read_text().replace("steps = 3", "steps = 7")
    manifest.write_text(text.replace('to = "rec.onnx"', 'to = "recogniser.onnx"'))
    hub.seen.clear()
    bundle = pull()
    assert hub.gets("") == []
    assert bundle.manifest.defaults.steps == 7
    assert (bundle.directory / "faces/recogniser.onnx").is_file()
    assert not (bundle.directory / "faces/rec.onnx").exists()


def test_a_pack_with_a_folder_around_it(pull: Pull, hub: Hub, tiny_bundle: Path) -> None:
    hub.files[PACK] = pack(tiny_bundle, "buffalo/")
    assert (pull().directory / "faces/det.onnx").is_file()


def test_a_bundle_that_was_not_fetched_is_never_replaced(
    pull: Pull, shelf: Path, tiny_bundle: Path
) -> None:
    (shelf / STANDS).mkdir(parents=True)
    (shelf / STANDS / "mine.txt").write_text("mine")
    with pytest.raises(PullFailed, match="move it away"):
        pull()
    assert (shelf / STANDS / "mine.txt").read_text() == "mine"


def test_removing_takes_the_bundle_and_its_leftovers(pull: Pull, shelf: Path) -> None:
    bundle = pull()
    (shelf / f".{STANDS}.pulling" / "tree").mkdir(parents=True)
    assert set(remove_bundle(STANDS)) == {bundle.directory, shelf / f".{STANDS}.pulling"}
    assert entries(shelf) == []
    with pytest.raises(ValueError, match="no bundle"):
        remove_bundle(STANDS)


@pytest.mark.parametrize("name", ["", ".", "..", "../shelf", "a/b", ".hidden"])
def test_removing_never_leaves_the_shelf(pull: Pull, shelf: Path, name: str) -> None:
    pull()
    with pytest.raises(ValueError, match="no bundle"):
        remove_bundle(name)
    assert entries(shelf) == [STANDS]


def test_the_packaged_bundle_stays(shelf: Path) -> None:
    with pytest.raises(PullFailed, match="part of limner"):
        remove_bundle("mini")


class TestExtending:
    def variant(self, manifest: Path, hub: Hub, tiny_bundle: Path) -> Path:
        unet = load_file(tiny_bundle / "pipeline/unet/diffusion_pytorch_model.safetensors")
        name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
        above, below = unet[f"{name}.weight"].shape
        halves = {"A": torch.ones(4, below), "B": torch.ones(above, 4)}
        lora = save({f"unet.{name}.lora_{one}.weight": half for one, half in halves.items()})
        hub.put("someone/lora", "eight.safetensors", lora, large=True)
        file = manifest.with_name("variant.toml")
        file.write_text(
            'schema = 1\nextends = "public.toml"\nname = "variant"\ntitle = "Faster"\n'
            "[defaults]\nsteps = 1\n"
            '[[component]]\nname = "eight"\nkind = "lora"\nscale = 0.5\nlicence = "free"\n'
            'hub = "someone/lora"\nrevision = "v1"\n'
            '[[component.file]]\nto = "eight.safetensors"\nfrom = "eight.safetensors"\n'
        )
        return file

    def test_the_base_comes_first_and_its_files_take_no_second_room(
        self, manifest: Path, hub: Hub, tiny_bundle: Path, shelf: Path
    ) -> None:
        plan = plan_pull(self.variant(manifest, hub, tiny_bundle))
        assert plan.base is not None
        bundle = pull_bundle(plan, licences_accepted=True)
        assert entries(shelf) == [STANDS, "variant"]
        assert bundle.manifest.defaults.steps == 1
        assert bundle.manifest.component[-1].scale == 0.5
        inner = "pipeline/unet/diffusion_pytorch_model.safetensors"
        assert (bundle.directory / inner).samefile(shelf / STANDS / inner)
        assert len(hub.gets("unet/diffusion")) == 1
        parts = load_components(bundle)
        assert [(one.name, one.scale) for one in parts.adapters.adapters] == [
            ("faceid", 1.0),
            ("eight", 0.5),
        ]

    def test_a_base_that_is_here_is_only_linked(
        self, pull: Pull, manifest: Path, hub: Hub, tiny_bundle: Path
    ) -> None:
        pull()
        variant = self.variant(manifest, hub, tiny_bundle)
        hub.seen.clear()
        plan = plan_pull(variant)
        assert plan.base is None
        pull_bundle(plan, licences_accepted=True)
        assert {seen.path for seen in hub.gets("")} == {"/store/someone/lora/eight.safetensors"}
        remove_bundle(STANDS)
        verify_bundle(open_bundle("variant"))

    def test_a_damaged_base_is_not_linked(
        self, pull: Pull, manifest: Path, hub: Hub, tiny_bundle: Path, shelf: Path
    ) -> None:
        pull()
        file = shelf / STANDS / "pipeline/unet/config.json"
        file.write_text(file.read_text().replace("16", "61"))
        plan = plan_pull(self.variant(manifest, hub, tiny_bundle))
        verify_bundle(pull_bundle(plan, licences_accepted=True))

    def test_extending_itself_is_refused(self, manifest: Path) -> None:
        manifest.write_text('extends = "public.toml"\n' + manifest.read_text())
        with pytest.raises(SourceRejected, match="extends itself"):
            read_source(manifest)


class TestLocal:
    def test_a_folder_on_this_machine_is_copied(
        self, shelf: Path, tiny_bundle: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "own.toml"
        file.write_text(
            'schema = 1\nname = "own"\ntitle = "t"\nlicence = "mine"\nsize = 128\n'
            '[licences.mine]\nname = "mine"\nurl = "https://example.org"\nallows = "all"\n'
            '[[component]]\nname = "pipeline"\nkind = "diffusers-pipeline"\nlicence = "mine"\n'
            f'folder = "{tiny_bundle / "pipeline"}"\n'
            '[[component]]\nname = "ip"\nkind = "ip-adapter-faceid"\nlicence = "mine"\n'
            '[[component.file]]\nto = "f.safetensors"\n'
            f'path = "{tiny_bundle / "ip-adapter/ip-adapter-faceid.safetensors"}"\n'
        )
        plan = plan_pull(file)
        assert plan.fetch_bytes == 0
        bundle = pull_bundle(plan, licences_accepted=True)
        assert load_components(bundle).has_identity
        for path, _ in bundle.files():
            assert path.stat().st_nlink == 1, "a user's own file is never linked"


def test_the_token_goes_to_the_hub_and_to_nobody_else(
    manifest: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add(ADAPTER)
    monkeypatch.setenv("HF_TOKEN", "right")
    pull_bundle(plan_pull(manifest), licences_accepted=True)
    asked = [seen for seen in hub.seen if "/resolve/" in seen.path]
    assert {seen.authorization for seen in asked} == {"Bearer right"}
    others = [seen for seen in hub.seen if "/resolve/" not in seen.path]
    assert {seen.path.split("/")[1] for seen in others} == {"store", "files"}
    assert {seen.authorization for seen in others} == {None}


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_stored_login_goes_to_the_hub_itself_and_to_no_mirror(
    manifest: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirrored: bool
) -> None:
    login = tmp_path / "token"
    login.write_text("stored")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(login))
    if not mirrored:
        monkeypatch.setattr("models.pulling.web.PUBLIC_HUB", hub.url)
    pull_bundle(plan_pull(manifest), licences_accepted=True)
    asked = {seen.authorization for seen in hub.seen if "/resolve/" in seen.path}
    assert asked == {None if mirrored else "Bearer stored"}
    assert {seen.authorization for seen in hub.seen if "/resolve/" not in seen.path} == {None}
