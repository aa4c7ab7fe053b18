"""Tables of gaze that could be misread are refused in one line, and those that are right are read."""

from functools import partial
from itertools import chain
from shutil import rmtree

import numpy as np
import pytest
from gaze_files import GENERIC, OPTIONS, WRITERS, fixations, lines, run_import, write_stimuli, written
from layouts import write_image

HEADER = "who,img,gx,gy,ms\n"
IMAGE = ["--stimulus-rect", "image", "--units", "px"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("modeling_mlnet.cli.data_import._turned", lambda folder: [])  # test_plausibility.py's subject
    write_stimuli(tmp_path / "stimuli")
    return partial(run_import, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "P01,beach,336,1,227,3,240\n", "line 2: 7 values for 5 columns; .*: 'P01,beach,336,1,227,3,240'"),
        (HEADER + "P01,beach,336,227,240\nP01,beach,336,2", "line 3: the last line is cut off: 4 values for 5"),
        ('who,note,img,gx,gy,ms\nP01,"oops,beach,336,227,240\nP01,,beach,3,4,240\n', "line 2: .* must be closed"),
        ("who,img,gx,gy,ms,gx\nP01,beach,336,227,240,9\n", "'gx' and 'gx' both mean gx; name each column once"),
        (HEADER + 'P01,beach,"336,1",227,240\n', "line 2: 'gx' must be a number, got '336,1'"),
        (HEADER.replace(",", ";") + "P01;beach;1,064.80;227.5;240\n", "'gx' must be a number, got '1,064.80'"),
        (HEADER.replace(",", ";") + "P01;beach;998;227;240\nP01;beach;1,064;9;240\n", "line 3: gx is '1,064': is"),
        (HEADER.replace(",", ";") + "P01;beach;99,5;227;1.240\n", "line 2: ms is '1.240': .* thousands separator"),
        (HEADER + "P01,beach,336,227,-5\n", "line 2: 'ms' is -5; durations cannot be negative"),
        (HEADER + "P01,beach,336,227,0.24\n", "fixations of 0.24 ms, .* of 'ms', are too short; .* --time-unit s"),
    ],
)
def test_a_table_that_would_be_misread_is_refused(run, tmp_path, text, message):
    (tmp_path / "gaze.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        raise run([tmp_path / "gaze.csv"], *GENERIC, *IMAGE).exception


@pytest.mark.parametrize(
    ("text", "encoding", "words", "place", "duration"),
    [
        (HEADER + "P01,beach,336,227,240,,\n", "utf-8-sig", ["--encoding", "utf-8"], [336, 227], 240),
        (HEADER + "P01,beach,336,227,0.24", "utf-16", ["--time-unit", "s"], [336, 227], 240),
        (
            HEADER.replace("ms", "ms [s]") + "P01,beach,336,227,0.24\n",
            "cp1252",
            ["--encoding", "cp1252"],
            [336, 227],
            240,
        ),
        (HEADER.replace(",", ";") + "P01;beach;36,125;1,25;240\n", "utf-8", [], [36.12, 1.25], 240),
        (HEADER + "P01,beach,336,227,NA\nP01,beach.blurred,3,4,50\nP01,beach,.,-,90\n", "utf-8", [], [336, 227], None),
    ],
)
def test_a_table_that_is_right_is_read(run, tmp_path, text, encoding, words, place, duration):
    (tmp_path / "gaze.csv").write_text(text, encoding)
    columns = [GENERIC[0], GENERIC[1].replace("=ms", "=ms [s]")] if "[s]" in text else GENERIC
    result = run([tmp_path / "gaze.csv"], *columns, *IMAGE, *words)
    assert result.exit_code == 0, result.exception
    line = written(tmp_path / "set")["beach.png"]
    assert line["observers"] == [[place]] and line.get("durations", [[None]]) == [[duration]]


@pytest.mark.parametrize("written_as", ["cp1252", "utf-8"])
def test_a_table_in_another_encoding_names_the_option(run, tmp_path, written_as):
    (tmp_path / "gaze.csv").write_text(HEADER + "Jürgen,beach,336,227,240\n", written_as)
    result = run([tmp_path / "gaze.csv"], *GENERIC, *IMAGE)
    assert ("save it as UTF-8 or give its --encoding, such as cp1252" in str(result.exception)) == (
        written_as != "utf-8"
    )


def test_columns_of_a_preset_that_are_named_keep_its_units_and_origin(run, tmp_path):
    [path, *_] = WRITERS["pupil"](tmp_path, fixations())
    assert run([path], "--preset", "pupil", "--columns", "x=norm_pos_x,y=norm_pos_y").exit_code == 0
    line = written(tmp_path / "set")["beach.png"]
    np.testing.assert_allclose(line["observers"][0][0], fixations()[0][2:4], atol=0.01)


def test_rows_of_people_that_alternate_are_put_together(run, tmp_path):
    rows = [[who, "beach", 100 + 20 * index + k, 200, index] for index in (0, 1) for k in (0, 1) for who in "ab"]
    (tmp_path / "gaze.csv").write_text(lines(["who", "img", "gx", "gy", "index"], rows, ","))
    words = ["--columns", "x=gx,y=gy,stimulus=img,participant=who,index=index"]
    assert run([tmp_path / "gaze.csv"], *words, *IMAGE).exit_code == 0
    assert written(tmp_path / "set")["beach.png"]["observers"] == [[[100.5, 200], [120.5, 200]]] * 2


def test_samples_of_people_that_alternate_are_put_together(run, tmp_path):
    made = [(*fixation[:4], 200.0) for fixation in fixations(count=2)]
    [path] = WRITERS["pymovements"](tmp_path, made)
    header, *rows = path.read_text().splitlines(keepends=True)
    found = []
    for order in (rows, chain(*zip(rows[: len(rows) // 2], rows[len(rows) // 2 :], strict=True))):
        path.write_text(header + "".join(order))
        assert run([path], "--preset", "pymovements", *OPTIONS["pymovements"]).exit_code == 0
        found.append(written(tmp_path / "set"))
        rmtree(tmp_path / "set")
    assert found[0] == found[1]


def test_files_name_participants_without_their_whole_path(run, tmp_path):
    paths = [tmp_path / who / "gaze.csv" for who in ("ann", "bob")]
    for path in paths:
        path.parent.mkdir()
        path.write_text("img,gx,gy\nbeach,336,227\n")
    words = ["--columns", "x=gx,y=gy,stimulus=img", *IMAGE]
    assert "gaze.csv: is given twice" in str(run([*paths, paths[0]], *words).exception)
    for given, names in ((paths, ["ann/gaze.csv", "bob/gaze.csv"]), (paths[:1], ["gaze.csv"])):
        assert run(given, *words).exit_code == 0
        assert written(tmp_path / "set")["beach.png"]["participants"] == names
        rmtree(tmp_path / "set")


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        (",width=w", "the tables lack its height on the screen; name the columns with --columns height=NAME, or give"),
        (",width=w,height=h", "its width and height in the tables must be above 0; give --stimulus-rect"),
    ],
)
def test_a_rectangle_without_a_side_is_named(run, tmp_path, sides, message):
    (tmp_path / "gaze.csv").write_text("who,img,gx,gy,ms,l,t,w,h\nP01,beach,336,227,240,0,0,640,0\n")
    words = [GENERIC[0], f"{GENERIC[1]},left=l,top=t{sides}", "--screen", "640x480"]
    assert message in str(run([tmp_path / "gaze.csv"], *words).exception)


def test_durations_of_zero_weigh_nothing(run, tmp_path):
    (tmp_path / "gaze.csv").write_text(HEADER + "P01,beach,336,227,0\n")
    result = run([tmp_path / "gaze.csv"], *GENERIC, *IMAGE, "--weights", "duration")
    assert "beach.png: 1 of its fixations have no duration above 0 to be weighed by" in str(result.exception)


def test_an_image_that_is_cut_off_is_named(run, tmp_path):
    image = write_image(tmp_path / "stimuli" / "cut.jpg", (640, 480))
    image.write_bytes(image.read_bytes()[:-2000])
    (tmp_path / "gaze.csv").write_text(HEADER + "P01,cut,336,227,240\n")
    assert "cut.jpg: image is damaged" in str(run([tmp_path / "gaze.csv"], *GENERIC, *IMAGE).exception)
