"""The configs and data sets that come with the package: listed, copied, and true to their paths; also in a wheel."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from paths import ROOT

from bpcli.records.training import Failure
from bpcli.studies.describe import examples
from bpcli.studies.describe.guides import guide
from bpcli.studies.run.setup import set_up

KNOWN = {e.name: e for e in examples.examples()}


def test_every_config_is_listed_and_said() -> None:
    there = {f.relative_to(ROOT / "configs").with_suffix("").as_posix() for f in (ROOT / "configs").rglob("*.yaml")}
    assert set(KNOWN) == {name for name in there if not name.endswith("_claims")}
    for example in KNOWN.values():
        assert 10 < len(example.about) < 250, example
        assert all((ROOT / file).is_file() for file in example.files)
    assert [name for name, e in KNOWN.items() if e.absent and not name.startswith("fashion_mnist")] == []
    assert next(iter(KNOWN)) == "article"


@pytest.mark.parametrize("name", [n for n, e in KNOWN.items() if not e.absent])
def test_a_copy_fits_its_data(name: str, tmp_path: Path) -> None:
    config, *_ = examples.copy_example(name, tmp_path)
    assert config == tmp_path / "configs" / f"{name}.yaml"
    setup = set_up(config)
    assert all(file.resolve().is_relative_to(tmp_path.resolve()) for file in setup.prepared.files)
    assert examples.copy_example(name, tmp_path)[0] == config  # what is the same is left alone


def test_what_goes_with_it(tmp_path: Path) -> None:
    examples.copy_example("article", tmp_path)
    copied = {f.relative_to(tmp_path).as_posix() for f in tmp_path.rglob("*") if f.is_file()}
    assert copied == {
        "configs/article.yaml", "configs/article_claims.yaml", "configs/bpcli.schema.json",
        "datasets/article/README.md", "datasets/article/article.csv",
    }  # fmt: skip


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    examples.copy_example("iris", tmp_path)
    file = tmp_path / "datasets" / "iris" / "iris.csv"
    file.write_text("mine")
    (tmp_path / "configs" / "iris.yaml").unlink()
    with pytest.raises(Failure, match="is there already, and it is not the example's") as caught:
        examples.copy_example("iris", tmp_path)
    assert int(caught.value.exit) == 73
    assert file.read_text() == "mine"
    assert not (tmp_path / "configs" / "iris.yaml").exists()


def test_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="there is no example `irsi`") as caught:
        examples.copy_example("irsi", tmp_path)
    assert caught.value.problems[0].help == "did you mean `iris`? `bpcli examples` lists all"


@pytest.mark.slow
def test_a_wheel_is_enough(tmp_path: Path) -> None:
    """Built, unpacked where no checkout is, and used from there."""
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "-q", "-w", str(tmp_path / "wheel")],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    sys.stdout.write(f"\n{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB\n")
    assert wheel.stat().st_size < 3e6
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "v")], check=True, timeout=120)
    python = tmp_path / "v" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", str(wheel)], check=True, timeout=600)
    work = tmp_path / "work"
    work.mkdir()

    def run(*words: str) -> str:
        done = subprocess.run(
            [str(python), "-m", "bpcli", *words], cwd=work, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = run("examples")
    assert all(name in listed for name in KNOWN)
    run("examples", "iris", "classics/xor", "--to", "there")
    run("check", "there/configs/iris.yaml")
    run("train", "there/configs/classics/xor.yaml", "--out", "run")
    run("init", "--task", "images")
    run("check", "images.yaml")
    assert run("guide", "tutorial") == guide("tutorial").text
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for file in (f for folder in ("configs", "datasets") for f in (ROOT / folder).rglob("*") if f.is_file()):
        assert f"bpcli/examples/{file.relative_to(ROOT).as_posix()}" in names


def test_claims_are_no_examples_and_those_of_the_first_level_come_first() -> None:
    found = [e.name for e in examples.examples()]
    assert not [name for name in found if name.endswith("_claims")]
    assert found == sorted(found, key=lambda name: (name.count("/"), name))
    assert len(found) > 20
