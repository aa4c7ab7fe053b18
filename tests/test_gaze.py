"""`mlnet data import`: gaze as eye trackers export it gives the fixations that were made, and says what it took."""

from functools import partial

import numpy as np
import pytest
from gaze_files import (
    GENERIC,
    OPTIONS,
    SIZES,
    WRITERS,
    eyelink,
    fitted,
    fixations,
    lines,
    on_screen,
    run_import,
    tobii,
    write_stimuli,
    written,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling_mlnet.data import fixation_density, load
from modeling_mlnet.data.gaze import Display, GazeFormat, Viewing, import_gaze
from modeling_mlnet.data.gaze.display import screen_pixels, to_image
from modeling_mlnet.data.gaze.offsets import participant_offsets
from modeling_mlnet.data.maps import map_png


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("modeling_mlnet.cli.data_import._turned", lambda folder: [])  # test_plausibility.py's subject
    write_stimuli(tmp_path / "stimuli")
    return partial(run_import, tmp_path)


@pytest.mark.parametrize("preset", WRITERS)
def test_every_preset_gives_the_fixations_that_were_made(run, tmp_path, preset):
    made = fixations()
    result = run(WRITERS[preset](tmp_path, made), "--preset", preset, *OPTIONS[preset])
    assert result.exit_code == 0, result.output
    lines = written(tmp_path / "set")
    for name in SIZES:
        line = lines[name]
        assert len(line["observers"]) == len(line["participants"]) == 2
        for rank, participant in enumerate(("P01", "P02")):
            expected = np.array([fixation[2:] for fixation in made if fixation[:2] == (participant, name)])
            np.testing.assert_allclose(line["observers"][rank], expected[:, :2], atol=0.011)
            step = 170 if preset == "pymovements" else 0.1  # the samples between two blinks
            np.testing.assert_allclose(line["durations"][rank], expected[:, 2], atol=step)
    assert [row["recording"] for row in load(str(tmp_path / "set"))] == ["eye", "eye"]


def test_what_was_found_and_what_is_left_out_is_said(run, tmp_path):
    output = run(tobii(tmp_path, fixations()), "--preset", "tobii", *OPTIONS["tobii"]).output
    assert "tobii.tsv: utf-16, between tabs; columns x 'Fixation point X', y" in output
    assert "px of the screen from its upper left" in output
    assert "left out: 80 rows of 'Eye movement type' 'Saccade'" in output
    assert "left out: 1 rows without 'Eye movement type'" in output
    assert "80 fixations of 2 participants on 2 images in " in output


def test_rows_that_are_no_fixation_are_counted_by_reason(run, tmp_path):
    made = [*fixations(), ("P01", "beach.png", -60.0, 100.0, 200.0)]
    [path] = eyelink(tmp_path, made)
    path.write_text(path.read_text("utf-8-sig") + "P01\t1\t0\t0\t90\tbeach.png\nP01\t1\t900\t500\t90\tcross.png\n")
    output = run([path], "--preset", "eyelink", *OPTIONS["eyelink"]).output
    for line in (
        "1 rows that repeat the header",
        "1 rows without coordinates (blinks, lost samples)",
        "1 rows at exactly (0, 0) (lost samples)",
        "1 rows of 'cross.png', which is no image of ",
        "1 fixations beside their image",
    ):
        assert f"left out: {line}" in output, output


SHOWN = ["--screen", "1920x1080", "--stimulus-rect", "fit"]


def table(path, scale=(1.0, 1.0), shift=(0.0, 0.0), made=None):
    rows = []
    for participant, name, x, y, duration in made or fixations():
        place = np.array(on_screen(name, x, y)) * scale + shift
        rows.append([participant, name, *(f"{value:.5f}" for value in place), duration])
    path.write_text(lines(["who", "img", "gx", "gy", "ms"], rows, ","))
    return [path]


@pytest.mark.parametrize(
    ("words", "scale", "message"),
    [
        (
            ["--units", "px", *SHOWN],
            (1 / 1920, 1 / 1080),
            r"fractions, or degrees, not pixels; say which with --units",
        ),
        (["--units", "fraction", *SHOWN], (1, 1), "these are no fractions; give --units px"),
        ([], (1, 1), "where on the screen was it shown.* --stimulus-rect X,Y,WIDTH,HEIGHT"),
        (["--stimulus-rect", "fit"], (1, 1), "fit needs the size of the screen"),
        (["--stimulus-rect", "image"], (1, 1), "these fixations cannot be right: .* lie outside their images"),
        (["--units", "deg", *SHOWN], (1, 1), "degrees count from the centre of the screen; give --origin centre"),
        (["--units", "deg", "--origin", "centre", *SHOWN], (0.01, 0.01), "--screen-mm 530x300 --distance-mm 650"),
        (["--separator", "::", *SHOWN], (1, 1), "separator must be one character, got '::'"),
        (["--encoding", "utf9", *SHOWN], (1, 1), "encoding must be one that Python knows, .* got 'utf9'"),
        (["--preset", "tobi"], (1, 1), "preset must be one of tobii, eyelink, .*, got 'tobi'"),
        (["--columns", "x=gx"], (1, 1), "name both columns of a position"),
        (["--columns", "x=gx,y=other"], (1, 1), "no columns 'gx' and 'other'; .* the columns found are 'who', 'img'"),
        (["--columns", "x=gx,y=gy", *SHOWN], (1, 1), "no column names the image"),
        (["--detector", "ivt", *SHOWN], (1, 1), "samples need their times; name the column with --columns time=NAME"),
        (["--columns", "x=gx,y=gx"], (1, 1), "'gx' cannot be x and y"),
        (["--eye", "left", *SHOWN], (1, 1), "no column says which eye a row is of; name it with --columns eye=NAME"),
    ],
)
def test_what_is_wrong_or_missing_is_one_error_that_says_what_to_do(run, tmp_path, words, scale, message):
    columns = [] if "--columns" in words else GENERIC
    result = run(table(tmp_path / "gaze.csv", scale), *columns, *words)
    assert result.exit_code != 0 and not (tmp_path / "set").exists()
    with pytest.raises((ValueError, SystemExit), match=message):
        raise result.exception


def test_units_that_no_one_names_are_found_and_said(run, tmp_path):
    paths = table(tmp_path / "gaze.csv", (1 / 1920, 1 / 1080), (0.5 / 1920, 0.5 / 1080))
    output = run(paths, *GENERIC, *SHOWN).output
    assert "fraction of the screen from its upper left, as 100% of x and y are within 1.5 of 0" in output
    [pair, *_] = written(tmp_path / "set")["beach.png"]["observers"][0]
    np.testing.assert_allclose(pair, fixations()[0][2:4], atol=0.02)


def test_images_may_be_shown_each_in_a_place_of_its_own(run, tmp_path):
    rects = tmp_path / "rects.csv"
    rects.write_text(
        lines(["stimulus", "left", "top", "width", "height"], [[name, *fitted(name)] for name in SIZES], ",")
    )
    assert run(table(tmp_path / "gaze.csv"), *GENERIC, "--stimulus-rect", str(rects)).exit_code == 0
    [pair, *_] = written(tmp_path / "set")["forest.png"]["observers"][1]
    np.testing.assert_allclose(pair, fixations()[60][2:4], atol=0.02)


def test_both_eyes_need_a_choice(run, tmp_path):
    header = ["who", "img", "gx", "gy", "eye"]
    rows = [["a", "beach", 100 + k, 200, eye] for k in range(3) for eye in ("LEFT", "RIGHT")]
    path = tmp_path / "gaze.csv"
    path.write_text(lines(header, rows, ","))
    words = ["--columns", "x=gx,y=gy,stimulus=img,participant=who,eye=eye", "--stimulus-rect", "image"]
    assert "several eyes, 'left', 'right'; say which to take with --eye" in str(run([path], *words).exception)
    assert "left out: 3 rows of another eye than the right" in run([path], *words, "--eye", "right").output


def test_an_eye_that_is_neither_left_nor_right_is_named(run, tmp_path):
    (tmp_path / "gaze.csv").write_text("img,gx,gy,eye\nbeach,100,200,0\nbeach,101,200,1\n")
    words = ["--columns", "x=gx,y=gy,stimulus=img,eye=eye", "--stimulus-rect", "image", "--eye", "left"]
    message = "'eye' must say left or right for --eye left, got '0', '1'"
    assert message in str(run([tmp_path / "gaze.csv"], *words).exception)


def test_densities_may_weigh_fixations_by_their_durations(run, tmp_path):
    words = [*GENERIC, *SHOWN, "--sigma", "20", "--weights", "duration"]
    assert run(table(tmp_path / "gaze.csv"), *words).exit_code == 0
    made = np.array([fixation[2:] for fixation in fixations() if fixation[1] == "beach.png"])
    expected = map_png(fixation_density(made[:, :2], 480, 640, 20, made[:, 2]))
    line = written(tmp_path / "set")["beach.png"]
    assert len((tmp_path / "set" / line["map_file_name"]).read_bytes()) == pytest.approx(len(expected), rel=0.02)
    row = load(str(tmp_path / "set"))[0]
    assert row["sigma"] is None and row["saliency_map"].size == (640, 480)
    even = fixation_density(made[:, :2], 480, 640, 20)
    weighed = fixation_density(made[:, :2], 480, 640, 20, made[:, 2])
    shown = np.asarray(row["saliency_map"]) / 255
    assert np.abs(shown - weighed).max() < 0.01 < np.abs(shown - even).max()


FRAMES = [("px", "upper-left"), ("px", "lower-left"), ("px", "centre-up"), ("fraction", "upper-left")]
FRAMES += [("fraction", "lower-left"), ("fraction", "centre"), ("deg", "centre"), ("deg", "centre-up")]
sizes = st.tuples(st.integers(2, 4000), st.integers(2, 4000))
rects = st.tuples(*[st.floats(-500, 2000)] * 2, *[st.floats(1, 4000)] * 2)


@settings(max_examples=60, deadline=None)
@given(
    size=sizes,
    screen=sizes,
    rect=rects,
    units=st.sampled_from(FRAMES),
    seed=st.integers(0, 99),
)
def test_import_inverts_any_display(size, screen, rect, units, seed):
    points = np.random.default_rng(seed).uniform(-0.5, np.array(size) - 0.5, (5, 2))
    shown = (points + 0.5) / size * rect[2:] + rect[:2]  # the edge of the screen's first pixel is 0
    unit, origin = units
    from_origin = {"upper-left": shown}
    from_origin["lower-left"] = np.stack([shown[:, 0], screen[1] - shown[:, 1]], axis=1)
    from_origin["centre"] = shown - np.array(screen) / 2
    from_origin["centre-up"] = from_origin["centre"] * [1, -1]
    reported = from_origin[origin]
    viewing = Viewing((530.0, 300.0), 650.0)
    if unit == "px" and not origin.startswith("centre"):
        reported = reported - 0.5
    elif unit == "fraction":
        reported = reported / screen
    elif unit == "deg":
        reported = np.rad2deg(np.arctan(reported / screen * viewing.screen_mm / viewing.distance_mm))
    back = to_image(screen_pixels(reported, unit, origin, screen, viewing), rect, size)
    np.testing.assert_allclose(back, points, rtol=1e-6, atol=1e-6 * max(size) * max(*screen, 4500) / min(rect[2:]))


def test_a_participant_whose_calibration_drifted_is_noted():
    random = np.random.default_rng(0)
    images = []
    for _ in range(12):
        by_name = {f"P{k}": random.normal([320, 240], 60, (12, 2)) for k in range(6)}
        by_name["P3"] += [90, 0]
        images.append(((640, 480), by_name))
    [line] = participant_offsets(images)
    assert line.startswith("the fixations of P3 lie ") and "px to the right" in line


def test_an_import_that_is_refused_leaves_nothing_behind(tmp_path):
    images = write_stimuli(tmp_path / "stimuli")
    [path] = table(tmp_path / "gaze.csv")
    columns = {"x": "gx", "y": "gy", "stimulus": "img"}
    form, display = GazeFormat(columns=columns), Display((1920, 1080), "fit")
    with pytest.raises(ValueError, match=r"40 of its fixations have no duration"):
        import_gaze([path], images, tmp_path / "set", form, display, weigh_durations=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gaze.csv", "stimuli"]
