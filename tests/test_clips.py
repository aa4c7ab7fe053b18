"""Clips under their maps: what a result is, what is refused, and that a stopped one leaves nothing."""

import av
import numpy as np
import pytest
from demo_files import write_clip

from modeling_mlnet.analysis import clips


def test_effective_area():
    assert clips.effective_area(np.ones((30, 40))) == pytest.approx(1)
    assert clips.effective_area(np.zeros((30, 40))) == 0
    item = np.zeros((30, 40))
    item[3, 4] = 1
    assert clips.effective_area(item) == pytest.approx(1 / 1200)
    half = np.zeros((30, 40))
    half[:15] = 0.3
    assert clips.effective_area(half) == pytest.approx(0.5)


def test_a_clip_becomes_h264_of_the_same_length_and_every_frame_is_its_own(small_predictor, tmp_path):
    clip = clips.Clip(write_clip(tmp_path / "in.mp4", seconds=2, rate=16))
    assert clip.expected == 16
    moments = list(clips.render_clip(small_predictor, clip, tmp_path / "out.mp4", 0.7, "inferno"))
    assert [item.time for item in moments] == pytest.approx(np.arange(16) / 8)
    with av.open(str(tmp_path / "out.mp4")) as result:
        stream = result.streams.video[0]
        assert stream.codec_context.name == "h264" and (stream.width, stream.height) == (96, 64)
        assert float(result.duration) / av.time_base == pytest.approx(2, abs=0.2)
        assert sum(1 for _ in result.decode(stream)) == 16
    again = clips.Clip(tmp_path / "in.mp4")
    maps = [small_predictor(picture) for _, picture in again.frames()]
    again.close()
    assert [item.effective_area for item in moments] == pytest.approx(
        [clips.effective_area(item) for item in maps], rel=1e-3
    )


def test_a_clip_that_is_stopped_leaves_no_file(small_predictor, tmp_path):
    clip = clips.Clip(write_clip(tmp_path / "in.mp4", seconds=3))
    rendering = clips.render_clip(small_predictor, clip, tmp_path / "out.mp4", 0.7, "inferno")
    next(rendering)
    rendering.close()
    assert not (tmp_path / "out.mp4").exists()


def test_clips_that_are_refused(tmp_path):
    write_clip(tmp_path / "long.mp4", seconds=70, rate=2)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no film")
    # a playlist names other files; read as one, it would show what this server has
    write_clip(tmp_path / "secret.mp4")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{tmp_path}/secret.mp4\n#EXT-X-ENDLIST\n"
    (tmp_path / "playlist.mp4").write_text(playlist)
    concat = f"ffconcat version 1.0\nfile {tmp_path}/secret.mp4\n"
    (tmp_path / "concat.mp4").write_text(concat)
    for name, message in {
        "long.mp4": "lasts 70 seconds; clips may last up to 60",
        "empty.mp4": "empty",
        "text.mp4": "cannot be read as a video",
        "playlist.mp4": "cannot be read as a video",
        "concat.mp4": "cannot be read as a video",
    }.items():
        with pytest.raises(ValueError, match=message):
            clips.Clip(tmp_path / name)


def test_a_clip_with_sound_only_and_one_with_large_frames_are_refused(tmp_path, monkeypatch):
    with av.open(str(tmp_path / "sound.mp4"), "w") as output:
        stream = output.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        output.mux([*stream.encode(silence), *stream.encode()])
    with pytest.raises(ValueError, match="no video in it"):
        clips.Clip(tmp_path / "sound.mp4")
    monkeypatch.setattr(clips, "MAX_PIXELS", 96 * 64 - 1)
    with pytest.raises(ValueError, match="has 96 x 64 px"):
        clips.Clip(write_clip(tmp_path / "large.mp4"))


def test_a_clip_that_lasts_longer_than_it_says_is_stopped(small_predictor, tmp_path, monkeypatch):
    clip = clips.Clip(write_clip(tmp_path / "in.mp4", seconds=4))
    monkeypatch.setattr(clips, "MAX_SECONDS", 1)  # as if the header had said less
    with pytest.raises(ValueError, match="longer than it says"):
        list(clips.render_clip(small_predictor, clip, tmp_path / "out.mp4", 0.7, "inferno"))
    assert not (tmp_path / "out.mp4").exists()


def test_a_clip_is_turned_as_the_camera_was_held(tmp_path):
    clip = clips.Clip(write_clip(tmp_path / "in.mp4", turned=90))
    shapes = {picture.shape for _, picture in clip.frames()}
    clip.close()
    assert shapes == {(96, 64, 3)}


def test_a_clip_that_breaks_off_still_counts(small_predictor, tmp_path):
    write_clip(tmp_path / "whole.mkv", seconds=4, rate=8)
    content = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) * 2 // 3])
    clip = clips.Clip(tmp_path / "cut.mkv")
    moments = list(clips.render_clip(small_predictor, clip, tmp_path / "out.mp4", 0.7, "inferno"))
    assert 0 < len(moments) < 32 and (tmp_path / "out.mp4").exists()
