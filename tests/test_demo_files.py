"""Files of the page's server: which are read, and when they are removed."""

import os
import shutil
import threading
import time

import pytest

from modeling_mlnet.demo.files import Files


def test_only_uploads_are_received(tmp_path):
    folder, outside = tmp_path / "uploads", tmp_path / "secret.jpg"
    folder.mkdir()
    outside.write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(outside)
    (folder / "mine.jpg").write_bytes(b"mine")
    for path in (
        outside,
        "/etc/passwd",
        folder / ".." / "secret.jpg",
        folder / "link.jpg",
        "http://127.0.0.1/",
        "a\0b",
        7,
    ):
        with pytest.raises(ValueError, match="Only files sent to this page"):
            Files(folder).receive({"path": path if isinstance(path, int) else str(path)})
    with pytest.raises(ValueError, match="No image was sent"):
        Files(folder).receive(None)
    assert Files(folder).receive({"path": str(folder / "mine.jpg"), "orig_name": "../../x.jpg"}).name == "x.jpg"
    with pytest.raises(ValueError, match=r"no longer kept\. Choose it again"):
        Files(folder).receive({"path": str(folder / "swept.jpg")})


def test_old_files_are_swept_and_new_ones_kept(tmp_path):
    for name in ("old/a.png", "new/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    os.utime(tmp_path / "old" / "a.png", (0, 0))
    cancelled = Files(tmp_path).place("clip.mp4").parent
    os.utime(cancelled, (0, 0))
    Files(tmp_path).sweep(60)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "downloads",
        "new",
        "new/b.png",
    ]


def test_folders_may_go_while_files_are_swept(tmp_path):
    def come_and_go():
        while not ended.is_set():
            folder = Files(tmp_path).place("map.png").parent
            (folder / "map.png").write_bytes(b"")
            shutil.rmtree(folder)

    ended = threading.Event()
    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(1000):
            Files(tmp_path).sweep(60)
    finally:
        ended.set()
        thread.join()


def test_of_too_much_the_oldest_goes_first(tmp_path):
    for age, name in enumerate(("newest", "middle", "oldest")):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    (tmp_path / "example").write_bytes(b"x" * 1000)
    Files(tmp_path).sweep(spared=frozenset([tmp_path / "example"]), largest=250)
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "middle", "example"}
