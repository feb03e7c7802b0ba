"""A description says what a public bundle is made of, and nothing else is understood."""

import json
import re
import textwrap
import tomllib
from pathlib import Path

import pytest

from models import SourceRejected, list_sources, read_source, source_example
from models.manifest import ComponentKind
from models.pulling.source import HubFile, LocalFile, Member, Text

BASIC = """
schema = 1
name = "own"
title = "t"
licence = "l"
size = 64

[licences.l]
name = "L"
url = "https://example.org"
allows = "all"

[[component]]
name = "pipeline"
kind = "diffusers-pipeline"
licence = "l"
hub = "a/b"
revision = "v1"

[[component.file]]
to = "model_index.json"
from = "model_index.json"
"""


@pytest.fixture
def basic(tmp_path: Path) -> Path:
    file = tmp_path / "own.toml"
    file.write_text(BASIC, encoding="utf-8")
    return file


class TestPublic:
    @pytest.mark.parametrize("name", list_sources())
    def test_every_description_can_be_read_and_is_pinned(self, name: str) -> None:
        source = read_source(name)
        assert source.name == name
        for file in source.files:
            if isinstance(file.origin, HubFile):
                assert re.fullmatch(r"[0-9a-f]{40}", file.origin.revision), file.target
            if isinstance(file.origin, Member):
                assert file.origin.archive.sha256
            assert isinstance(file.origin, Text) or not isinstance(file.origin, LocalFile)
            assert file.target.endswith("json") or file.sha256 or isinstance(file.origin, Text)

    @pytest.mark.parametrize("name", list_sources())
    def test_every_licence_says_what_it_allows(self, name: str) -> None:
        for licence in read_source(name).licences:
            assert licence.allows.endswith(".")
            assert licence.url.startswith("https://")

    @pytest.mark.parametrize("name", list_sources())
    def test_texts_that_are_written_are_json(self, name: str) -> None:
        for file in read_source(name).files:
            if isinstance(file.origin, Text):
                assert json.loads(file.origin.text)

    def test_the_safety_checker_is_neither_fetched_nor_asked_for(self) -> None:
        source = read_source("sd15-faceid")
        index = next(file for file in source.files if file.target.endswith("model_index.json"))
        assert isinstance(index.origin, Text)
        assert json.loads(index.origin.text)["requires_safety_checker"] is False
        assert not any("safety" in file.target for file in source.files)

    def test_the_fast_one_is_its_base_and_a_lora(self) -> None:
        fast, base = read_source("sd15-faceid-fast"), read_source("sd15-faceid")
        assert fast.base == base
        theirs = {file.target: file.identity for file in base.files}
        ours = {file.target: file.identity for file in fast.files}
        own = {path for path, identity in ours.items() if theirs.get(path) != identity}
        assert own == {
            "pipeline/scheduler/scheduler_config.json",
            "eight-steps/hyper-sd15-8steps-cfg.safetensors",
        }
        assert fast.description.component[-1].kind is ComponentKind.LORA
        assert fast.description.defaults.steps == 8
        assert (
            fast.description.defaults.negative_prompt == base.description.defaults.negative_prompt
        )

    def test_weights_are_half_precision_and_safetensors(self) -> None:
        for name in ("sd15-faceid", "sdxl-faceid"):
            files = read_source(name).files
            assert not any(file.target.endswith((".bin", ".pt")) for file in files)
            unet = next(
                file
                for file in files
                if file.target.endswith("unet/diffusion_pytorch_model.safetensors")
            )
            assert isinstance(unet.origin, HubFile)
            assert ".fp16." in unet.origin.path


class TestExample:
    def test_it_can_be_read_as_it_is(self, tmp_path: Path) -> None:
        file = tmp_path / "my.toml"
        file.write_text(source_example(), encoding="utf-8")
        source = read_source(file)
        assert source.name == tomllib.loads(source_example())["name"]
        changed = {f.target for f in source.files if f.licence == source.licences[-1]} or {""}
        assert changed
        unet = next(
            f for f in source.files if f.target.endswith("unet/diffusion_pytorch_model.safetensors")
        )
        assert isinstance(unet.origin, HubFile)
        assert unet.origin.repository == "Lykon/dreamshaper-8"
        assert unet.sha256 is None, "the base's digest is of the base's file"

    def test_a_folder_replaces_the_bases_files(self, tmp_path: Path) -> None:
        (tmp_path / "pipe").mkdir()
        (tmp_path / "pipe" / "model_index.json").write_text("{}")
        file = tmp_path / "my.toml"
        file.write_text(
            'schema = 1\nextends = "sd15-faceid"\nname = "x"\n'
            '[[component]]\nname = "pipeline"\nfolder = "pipe"\n'
        )
        targets = [f.target for f in read_source(file).files]
        assert [one for one in targets if one.startswith("pipeline/")] == [
            "pipeline/model_index.json"
        ]
        assert "faces/det_10g.onnx" in targets


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("schema = 1", "schema = 2", "schema 2 is not known"),
        ("size = 64", "size = 64\ncolour = 1", "colour"),
        ('name = "own"', 'name = "../own"', "name"),
        ('name = "own"', 'name = "mini"', "ships already"),
        ('licence = "l"\nhub', 'licence = "m"\nhub', "no [licences.m]"),
        ('revision = "v1"', "", "needs a revision"),
        ('hub = "a/b"', 'hub = "a/b/../c"', "hub"),
        ('from = "model_index.json"', 'from = "../../etc/passwd"', "does not stay inside"),
        ('to = "model_index.json"', 'to = "/etc/model_index.json"', "does not stay inside"),
        ('to = "model_index.json"', 'to = "unet.safetensors"', "from_single_file"),
        ('from = "model_index.json"', "", "exactly one of from, url, path, write"),
        ('from = "model_index.json"', 'write = "{}"\nurl = "https://a.b"', "exactly one"),
        ('from = "model_index.json"', 'write = "{}"\nsha256 = "00"', "sha256"),
        ('from = "model_index.json"', 'write = "{}"\nconvert = true', "converted"),
        ('from = "model_index.json"', 'url = "ftp://a.b/c"', "url"),
        ('hub = "a/b"', 'archive = "z"', "no [archives.'z']"),
        ("[licences.l]", "[licences.l", "cannot be read"),
        ("schema = 1", 'schema = 1\nextends = "nobody"', "no public bundle 'nobody'"),
    ],
)
def test_a_wrong_description_is_refused_by_name(basic: Path, old: str, new: str, said: str) -> None:
    assert read_source(basic).name == "own"
    assert old in BASIC
    basic.write_text(BASIC.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SourceRejected) as caught:
        read_source(basic)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_in_a_single_file_says_how_to_convert_it(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(SourceRejected, match="from_single_file"):
        read_source(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["nobody", "", "~nosuchuser/x.toml", "a/b.toml"])
def test_an_unknown_name_says_which_are_known(name: str) -> None:
    with pytest.raises(SourceRejected, match="sd15-faceid"):
        read_source(name)


def test_the_descriptions_in_the_guide_are_understood(tmp_path: Path) -> None:
    guide = Path(__file__).resolve().parents[3] / "docs" / "bundles.md"
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", guide.read_text(encoding="utf-8"), re.M)
    (text,) = (textwrap.dedent(block) for block in blocks if "extends" in block)
    (tmp_path / "model_index.json").write_text("{}")
    file = tmp_path / "my.toml"
    file.write_text(text.replace("/data/my-checkpoint", str(tmp_path)), encoding="utf-8")
    assert read_source(file).name == "my-portraits"
