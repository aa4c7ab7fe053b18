"""Data sets on the Hub: on one that runs on this machine, from processes that know no other."""

import json
import os
import subprocess
import sys
from pathlib import Path

from layouts import write_osie, write_salicon
from loopback_hub import NAME, running_hub
from pyarrow.parquet import read_table

from modeling_mlnet.data import export_parquet, load


def python(code, tmp_path, **environment):
    settings = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1", **environment}
    settings.pop("HF_DATASETS_CACHE", None)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=settings, cwd=tmp_path
    )


def printed(code, tmp_path, **environment):
    done = python(code, tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


LOAD = """
import json
from modeling_mlnet.data import load, splits_of

def told(rows):
    return [[one["image_id"], one["image"].size, one["fixations"]] for one in rows]

names = splits_of("NAME")
print(json.dumps([{name: told(load("NAME", name, streaming=kind)) for name in names} for kind in (False, True)]))
"""


def test_an_export_is_read_and_streamed_from_the_hub(tmp_path):
    for split, count in {"train": 3, "val": 2}.items():
        write_salicon(tmp_path / "set", count, split)
    export_parquet(f"salicon:{tmp_path / 'set'}", tmp_path / "out")
    with running_hub(tmp_path / "hub") as hub:
        push = [Path(sys.executable).with_name("hf"), "upload", NAME, tmp_path / "out", "--repo-type", "dataset"]
        subprocess.run(push, check=True, env={**os.environ, **hub.environment()}, capture_output=True)
        result = printed(LOAD.replace("NAME", NAME), tmp_path, HF_ENDPOINT=hub.address)
    expected = {name: load(f"salicon:{tmp_path / 'set'}", name) for name in ("train", "validation")}
    messages = {
        name: [[item["image_id"], list(item["image"].size), item["fixations"]] for item in rows]
        for name, rows in expected.items()
    }
    assert result == [messages, messages]


def test_a_data_set_on_the_hub_is_predicted_at_its_commit(tmp_path):
    for split, count in {"train": 3, "val": 2}.items():
        write_salicon(tmp_path / "set", count, split)
    export_parquet(f"salicon:{tmp_path / 'set'}", tmp_path / "out")
    words = ["-m", "modeling_mlnet.cli", "predict", "--dataset", NAME, "--prefix", "predicted_"]
    settings = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    with running_hub(tmp_path / "hub") as hub:
        commit = hub.add(tmp_path / "out", kind="datasets")
        settings["HF_ENDPOINT"] = hub.address
        for split in ("train", "validation", "none"):
            command = [sys.executable, *words, "--split", split, "-o", str(tmp_path / f"{split}.parquet")]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=settings)
            assert done.returncode == (2 if split == "none" else 0), done.stderr
    assert "--split must be one of train, validation for" in done.stderr
    for split, files in {"train": "train-*", "validation": "validation-*"}.items():
        predicted = read_table(tmp_path / f"{split}.parquet")
        assert (
            predicted["predicted_error"].null_count
            == len(predicted)
            == len(read_table(next((tmp_path / "out").rglob(files))))
        )
        plan = read_table(tmp_path / f"{split}.parquet" / ".mlnet" / "inputs.parquet")
        assert all(commit in uri for uri in plan["uri"].to_pylist())


def test_annotations_from_the_hub_need_the_folder_of_the_images(tmp_path):
    export_parquet(f"osie:{write_osie(tmp_path / 'set')}", tmp_path / "out", annotations_only=True)
    code = f"from modeling_mlnet.data import load; rows = load('{NAME}', images='set'); print(rows[0]['image'].width)"
    with running_hub(tmp_path / "hub") as hub:
        hub.add(tmp_path / "out", kind="datasets")
        assert printed(code, tmp_path, HF_ENDPOINT=hub.address) == 64
        done = python(code.replace(", images='set'", ""), tmp_path, HF_ENDPOINT=hub.address)
    assert f"{NAME}: holds annotations only; give the folder of its images with images=DIR" in done.stderr


def test_what_cannot_be_reached_is_one_clear_line(tmp_path):
    words = [sys.executable, "-m", "modeling_mlnet.cli", "evaluate", "--baseline", "centre", "--dataset", NAME]
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=settings, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"mlnet: error: {NAME}: no such folder, and no data set of the Hub that can be read")
    assert done.stderr.count("\n") == 1


def test_a_folder_of_the_same_name_comes_first(tmp_path, monkeypatch):
    write_osie(tmp_path / "set")
    export_parquet(f"osie:{tmp_path / 'set'}", tmp_path / NAME)
    monkeypatch.chdir(tmp_path)
    assert len(load(NAME)) == 3
