"""`mlnet regions`, `compare`, `crop` and `report`: files, bytes, conditions, errors."""

import csv
import json
import re
import shutil

import jsonschema
import numpy as np
import pytest
from demo_files import ROOT
from PIL import Image
from typer.testing import CliRunner

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import ComparedRegion, Region, json_schema, parse_condition
from modeling_mlnet.analysis.tiles import TiledPredictor
from modeling_mlnet.cli import app
from modeling_mlnet.hub.registry import WEIGHTS, sha256

IMAGES = ROOT / "tests" / "fixtures" / "images"


@pytest.fixture
def run(small_checkpoint, tmp_path, monkeypatch):
    """Runs a command in an empty folder with a small checkpoint; gives its exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(command, *arguments):
        model = [] if "--model" in arguments else ["--model", str(small_checkpoint)]
        try:
            result = CliRunner().invoke(app, [command, *map(str, arguments), *model], catch_exceptions=False)
        except (ValueError, OSError) as error:  # what main() turns into one line and status 2
            return 2, "", str(error)
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def photo(tmp_path):
    return shutil.copy(IMAGES / "coffee.jpg", tmp_path / "photo.jpg")


def read(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json_schema()).validate(document)
    return document


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"kind": "regions"}, json_schema())


# --- regions


def test_regions_are_written_and_the_same_input_gives_the_same_bytes(run, photo, tmp_path, small_checkpoint):
    boxes = ["--box", "cup:100,50,300,250", "--box", "table:0,300,600,100"]
    status, out, err = run("regions", photo, *boxes, "-o", "one", "--format", "json,csv,png,html")
    assert (status, err) == (0, "") and "rank 1" in out and "cup" in out
    document = read(tmp_path / "one" / "photo.regions.json")
    assert document["image"] == {"file": "photo.jpg", "width": 600, "height": 400, "sha256": sha256(tmp_path / photo)}
    assert document["model"]["sha256"] == sha256(small_checkpoint / WEIGHTS)
    saliency_map = SaliencyPredictor(small_checkpoint, dtype="float32")(str(photo)).astype(np.float64)
    cup, table = document["regions"]
    assert cup["share"] == pytest.approx(saliency_map[50:300, 100:400].sum() / saliency_map.sum(), abs=1e-5)
    assert (table["name"], table["area"]) == ("table", 0.25)
    rows = list(csv.DictReader((tmp_path / "one" / "regions.csv").read_text().splitlines()))
    assert [(row["image"], row["name"]) for row in rows] == [("photo.jpg", "cup"), ("photo.jpg", "table")]
    assert float(rows[0]["share"]) == cup["share"]
    assert Image.open(tmp_path / "one" / "photo.regions.png").size == (600, 400)
    shutil.copy(photo, tmp_path / "other.jpg")  # beside another image the bytes are the same
    run("regions", photo, "other.jpg", *boxes, "-o", "two", "--format", "json,png")
    for name in ("photo.regions.json", "photo.regions.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_one_bad_image_or_box_stops_nothing(run, photo, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("name,x,y,width,height\na,10,10,50,50\na,1,1,9,9\nout,590,0,50,50\nnone,5,5,0,9\nx,1,1,y,9\n")
    status, _out, err = run("regions", "broken.png", photo, "nope.jpg", "--boxes", boxes, "-o", "out")
    lines = err.strip().splitlines()
    assert status == 1 and len(lines) == 6 and all(line.startswith("mlnet: ") for line in lines)
    for part in ("nope.jpg", "line 6: expected", "broken.png", "'a' is used twice", "'out'", "'none'"):
        assert sum(part in line for line in lines) == 1, part
    document = read(tmp_path / "out" / "photo.regions.json")
    assert [region["name"] for region in document["regions"]] == ["a"] and len(document["problems"]) == 3
    assert run("regions", "broken.png", "-o", "out")[0] == 2


def test_an_image_that_is_gone_after_its_prediction_stops_nothing(run, photo, tmp_path, monkeypatch):
    gone, stream = shutil.copy(photo, tmp_path / "gone.jpg"), TiledPredictor.stream

    def remove_one(self, *arguments, **options):
        for prediction in stream(self, *arguments, **options):
            gone.unlink(missing_ok=True)
            yield prediction

    monkeypatch.setattr(TiledPredictor, "stream", remove_one)
    status, _out, err = run("regions", "gone.jpg", photo, "-o", "out")
    assert status == 1 and "gone.jpg" in err and "No such file" in err
    assert {path.name.partition(".")[0] for path in (tmp_path / "out").iterdir()} == {"photo"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--box", "logo"], "expected NAME:X,Y,WIDTH,HEIGHT, got 'logo'"),
        (["--box", "a:.1,.1,.1,.1", "--box", "b:1,1,9,9"], "state the units"),
        (["--boxes", "nope.csv"], "nope.csv: cannot be read"),
        (["--units", "cm", "--box", "a:1,1,9,9"], "units must be one of auto, pixels, fractions"),
        (["--tiles", "many"], "tiles must be auto, off or WIDTHxHEIGHT"),
        (["--screen", "large"], "expected WIDTHxHEIGHT"),
        (["--fail-if", "button"], "expected NAME.MEASURE<NUMBER such as button.share<0.04, got 'button'"),
        (["--fail-if", "button.size<3"], "unknown measure; there are NAME.share"),
        (["--fail-if", "button.share<x"], "'x' is not a number"),
        (["--format", "xml"], "'xml' is not one of json, csv, png, html"),
    ],
)
def test_a_wrong_option_ends_in_one_line(run, photo, arguments, message):
    status, _, err = run("regions", photo, *arguments)
    assert status == 2 and message in " ".join(re.sub("[│╭╮╰╯─]", " ", err).split())


def test_a_condition_that_is_true_ends_with_status_1(run, photo):
    box = ["--box", "all:0,0,600,400"]
    assert run("regions", photo, *box, "--fail-if", "all.share<99%")[0] == 0
    status, _, err = run("regions", photo, *box, "--fail-if", "all.share>=1", "--fail-if", "effective_area<=100%")
    assert status == 1 and "photo.jpg: --fail-if all.share>=1 is true: it is 1.0000" in err and err.count("\n") == 2
    status, _, err = run("regions", photo, *box, "--fail-if", "logo.share<4%")  # never silently passed
    assert status == 1 and "there is no box 'logo'" in err


def test_conditions_are_read():
    condition = parse_condition("my button.v2.share <= 4.5 %")
    assert (condition.name, condition.measure, condition.number) == ("my button.v2", "share", 0.045)
    assert condition.holds(0.045) and not condition.holds(0.05)
    assert parse_condition("a.difference<-1%", ComparedRegion).number == -0.01
    with pytest.raises(ValueError, match="unknown measure"):
        parse_condition("effective_area<1", ComparedRegion)
    for text, kind, message in (
        ("a.share>4", Region, r"share lies in 0\.\.1: did you mean 4%\?"),
        ("effective_area>120%", Region, r"effective_area lies in 0\.\.1$"),
        ("a.second<-0.1", ComparedRegion, r"second lies in 0\.\.1$"),
        ("a.difference<-4", ComparedRegion, r"difference lies in -1\.\.1: did you mean -4%\?"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_condition(text, kind)
    assert parse_condition("a.rank>4").number == 4 and parse_condition("a.share<=1").number == 1


def test_a_long_page_reports_its_first_screenful(run, tmp_path):
    page = np.random.default_rng(0).integers(0, 256, (1600, 320, 3), np.uint8)
    Image.fromarray(page).save(tmp_path / "page.png")
    status, out, _ = run("regions", "page.png", "--box", "top:10,10,100,100", "--box", "end:9,1500,90,90", "-o", "out")
    document = read(tmp_path / "out" / "page.regions.json")
    screen = document["first_screen"]
    assert status == 0 and screen["image"]["height"] == 200 and "first screenful (200 px)" in out
    assert [region["name"] for region in screen["regions"]] == ["top"]
    assert screen["regions"][0]["share"] > document["regions"][0]["share"]


# --- compare


def test_designs_are_compared_with_their_own_boxes(run, photo, tmp_path):
    moved = np.asarray(Image.open(photo).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    Image.fromarray(moved).save(tmp_path / "b.png")
    (tmp_path / "a.csv").write_text("name,x,y,width,height\ncup,100,50,200,250\nlogo,0,0,50,50\n")
    (tmp_path / "b.csv").write_text("name,x,y,width,height\ncup,300,50,200,250\nnew,0,0,9,9\n")
    files = ["--boxes", "a.csv", "--second-boxes", "b.csv", "--format", "json,csv,png,html"]
    status, out, err = run("compare", photo, "b.png", *files, "-o", "out")
    assert status == 0 and "no box 'logo'" in err and "only in A" in out and "The cup gets " in out
    document = read(tmp_path / "out" / "comparison.json")
    cup, logo, new = document["comparison"]
    assert not document["same_place"] and (logo["second"], new["first"], new["difference"]) == (None, None, None)
    rows = list(csv.DictReader((tmp_path / "out" / "comparison.csv").read_text().splitlines()))
    assert rows[1]["second"] == "" and float(rows[0]["difference"]) == cup["difference"]
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "photo.jpg and b.png" in page and page.count("data:image/webp") == 2
    status, _, err = run("compare", photo, "b.png", "--boxes", "a.csv", "--fail-if", "cup.second>0", "-o", "same")
    assert status == 1 and "--fail-if cup.second>0 is true" in err and "the same places are measured" in err
    assert read(tmp_path / "same" / "comparison.json")["same_place"]


def test_one_file_may_hold_the_boxes_of_both_designs(run, photo, tmp_path):
    shutil.copy(photo, tmp_path / "b.jpg")
    (tmp_path / "both.csv").write_text("image,name,x,y,width,height\nphoto.jpg,a,0,0,99,99\nb.jpg,a,50,50,99,99\n")
    run("compare", photo, "b.jpg", "--boxes", "both.csv", "-o", "out", "--format", "json")
    document = read(tmp_path / "out" / "comparison.json")
    assert not document["same_place"] and document["second"]["regions"][0]["x"] == 50


def test_boxes_of_the_second_design_need_those_of_the_first(run, photo):
    status, _, err = run("compare", photo, photo, "--second-box", "cup:1,1,99,99")
    assert status == 2 and "--boxes: is needed, too" in " ".join(re.sub("[│╭╮╰╯─]", " ", err).split())


def test_without_boxes_the_ninths_are_compared(run, photo, tmp_path):
    shutil.copy(photo, tmp_path / "b.jpg")
    assert run("compare", photo, "b.jpg", "-o", "out", "--format", "json")[0] == 0
    document = read(tmp_path / "out" / "comparison.json")
    assert len(document["comparison"]) == 9 and all(region["difference"] == 0 for region in document["comparison"])


def test_compare_wants_two_images(run, photo, tmp_path):
    shutil.copytree(IMAGES, tmp_path / "folder")
    status, _, err = run("compare", photo, "folder")
    assert status == 2 and "give two image files" in err
    (tmp_path / "broken.png").write_bytes(b"nothing")
    status, _, err = run("compare", photo, "broken.png")
    assert status == 2 and "broken.png" in err


# --- crop


def test_crops_are_cut_where_the_json_says(run, photo, tmp_path):
    status, out, _ = run("crop", photo, "--aspect", "1:1,9:16", "--size", "90x160", "-o", "out")
    document = read(tmp_path / "out" / "photo.crops.json")
    square, tall = document["crops"]
    assert status == 0 and "object-position" in out and (square["aspect"], tall["aspect"]) == ("1:1", "9:16")
    image = Image.open(tmp_path / "out" / "photo.1x1.jpg")
    assert image.size == (400, 400) == (square["width"], square["height"])
    window = (square["x"], square["y"], square["x"] + 400, square["y"] + 400)
    difference = np.asarray(image, float) - np.asarray(Image.open(photo).crop(window), float)
    assert np.abs(difference).mean() < 3  # of another JPEG compression
    assert Image.open(tmp_path / "out" / "photo.9x16.jpg").size == (90, 160)
    assert run("crop", photo, "--size", "50x50", "-o", "sizes")[0] == 0
    assert Image.open(tmp_path / "sizes" / "photo.1x1.jpg").size == (50, 50)


@pytest.mark.parametrize("mode", ["P", "LA", "RGBA", "CMYK", "1", "I;16"])
def test_crops_keep_the_colours_of_the_image(run, tmp_path, mode):
    name = "image.tiff" if mode in ("CMYK", "I;16") else "image.png"
    Image.new(mode, (60, 40)).save(tmp_path / name)
    assert run("crop", name, "--aspect", "1:1", "-o", "out")[0] == 0
    with Image.open(tmp_path / "out" / f"image.1x1{name[5:]}") as image:
        assert image.size == (40, 40) and image.mode == mode


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the shapes with --aspect"),
        (["--aspect", "wide"], "an aspect is two whole numbers"),
        (["--size", "100"], "expected WIDTHxHEIGHT"),
        (["--aspect", "1:1", "--size", "90x160"], "--size 90x160 is of none of the shapes 1:1"),
        (["--size", "50x50,90x160,80x80"], "--size 50x50 and 80x80 are both 1:1; give one size of a shape at a time"),
    ],
)
def test_wrong_shapes_end_in_one_line(run, photo, arguments, message):
    status, _, err = run("crop", photo, "-o", "out", *arguments)
    assert status == 2 and message in err


# --- report


def test_the_report_is_one_file_with_its_rows_beside_it(run, tmp_path):
    shutil.copytree(IMAGES, tmp_path / "photos")
    (tmp_path / "photos" / "=odd <b>&.png").write_bytes((IMAGES / "coffee.jpg").read_bytes())
    (tmp_path / "photos" / "broken.png").write_bytes(b"nothing")
    status, _, err = run("report", "photos", "-o", "report.html", "--box", "top:0,0,1,.5", "--units", "fractions")
    page = (tmp_path / "report.html").read_text()
    assert status == 1 and "broken.png" in err and re.search(r"5 of 6 images in report.html \(\d+\.\d MB\)", err)
    assert page.count("data:image/webp") == 5 and "broken.png" in page
    assert "<b>&" not in page and "=odd &lt;b&gt;&amp;.png" in page
    assert all(link.startswith("data:") for link in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert "default-src 'none'" in page and "@import" not in page and "url(" not in page
    rows = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))
    assert next(row["image"] for row in rows) == "'=odd <b>&.png" and len(rows) == 5
    assert all(0 < float(row["share: top"]) < 1 and 0 < float(row["effective_area"]) < 1 for row in rows)
    status, _, err = run("report", "photos", "-o", "report.pdf")
    assert status == 2 and "must end in .html" in err


# --- predict: styles, formats and windows


def test_overlays_have_styles_a_scale_and_a_jpeg(run, photo, tmp_path):
    for style in ("heat", "contour", "spotlight"):
        status, _, _ = run("predict", photo, "-o", style, "--format", "overlay,jpg", "--style", style, "--colorbar")
        assert status == 0
        with Image.open(tmp_path / style / "photo.overlay.jpg") as image:
            assert image.format == "JPEG" and image.width == 600 and image.height > 400
    pictures = [(tmp_path / style / "photo.overlay.png").read_bytes() for style in ("heat", "contour", "spotlight")]
    assert len(set(pictures)) == 3
    status, _, err = run("predict", photo, "-o", "out", "--style", "hot")
    assert status == 2 and "is not one of heat, contour, spotlight" in " ".join(err.split())


def test_a_long_page_is_predicted_in_windows(run, tmp_path):
    page = np.random.default_rng(0).integers(0, 256, (1600, 320, 3), np.uint8)
    Image.fromarray(page).save(tmp_path / "page.png")
    for tiles in ("auto", "off"):
        assert run("predict", "page.png", "-o", tiles, "--format", "npy", "--tiles", tiles)[0] == 0
    tiled, whole = (np.load(tmp_path / tiles / "page.npy") for tiles in ("auto", "off"))
    assert tiled.shape == whole.shape == (1600, 320) and not np.allclose(tiled, whole, atol=0.01)
    assert run("predict", "page.png", "-o", "out", "--tiles", "some")[0] == 2


def test_resume_leaves_out_overlays_of_the_same_look_only(run, photo):
    arguments = ("predict", photo, "-o", "out", "--format", "jpg,npy", "--resume")
    assert "1 of 1 images predicted" in run(*arguments)[2]
    assert "1 already there" in run(*arguments)[2]
    assert "1 anew" in run(*arguments, "--style", "contour")[2]
    assert "1 anew" in run(*arguments, "--style", "contour", "--tiles", "off")[2]
