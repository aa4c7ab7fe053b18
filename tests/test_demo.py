"""The web page without its server: boxes, words, what it refuses, what it keeps."""

import json
import re
import threading
import time
from pathlib import Path
from zipfile import ZipFile

import gradio as gr
import numpy as np
import pytest
from demo_files import COFFEE, answers_of, upload, write_hostile
from gradio_client.snippet import generate_code_snippets
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import Box, ComparedRegion, Comparison, Spot, in_words
from modeling_mlnet.analysis.clips import Moment
from modeling_mlnet.demo import about, endpoints, gaps, words
from modeling_mlnet.demo.answers import Answers, Models
from modeling_mlnet.demo.files import Files, read_upload
from modeling_mlnet.demo.page import find_examples
from modeling_mlnet.demo.results import Settings, parse_boxes
from modeling_mlnet.images_mlnet import ImageWarning
from modeling_mlnet.inference import uploads

# --- boxes and words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3", "expected NAME:X,Y,WIDTH,HEIGHT, got '1,2,3'"),
        ("0,0,5,5\nfour: a,b,c,d", "got 'four: a,b,c,d'"),
        ("0,0,0,5", r"\(0,0,0,5\) has no area"),
        ("50,0,20,5", "reaches beyond the image of 60 x 40 px"),
        ("-1,0,5,5", "reaches beyond"),
        ("nan,0,5,5", "not finite"),
        ("0,0,inf,5", "not finite"),
        ("a:0,0,1,1\na:1,1,2,2", "used twice"),
        ("\n".join(["0,0,1,1"] * 51), "At most 50 boxes at once, got 51"),
    ],
)
def test_a_line_that_is_no_box_is_quoted(text, message):
    with pytest.raises(ValueError, match=message):
        parse_boxes(text, (60, 40))


def test_boxes_have_names_or_numbers():
    parsed = parse_boxes("title: 0, 0, 60, 10\n\n 1;2;3;4.5 \n", (60, 40))
    assert parsed == [Box("title", 0, 0, 60, 10), Box("2", 1, 2, 3, 4.5)]
    assert parse_boxes(f"{'n' * 900}: 0, 0, 1, 1", (60, 40))[0].name == "n" * 40  # a longer one takes seconds to draw


def test_words():
    assert "empty" in words.spots_in_words([])
    spot = Spot(1, 20, 30, 0.34, 0.1, 1.0, "top left")
    assert words.spots_in_words([spot]) == (
        "One spot, top left, holds 34 % of the predicted attention on 10 % of the image."
    )
    assert words.spots_in_words([spot] * 2).startswith("Two spots hold 68 %")
    assert words.alt_text([spot], "Map") == "The saliency map alone. Most predicted attention: top left 34 %"


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (0.044, 0.022, "The button gets half as much in B: 4.4 % -> 2.2 % (-2.2 points)."),
        (0.1, 0.102, "The button gets about as much in B: 10 % -> 10 % (+0.2 points)."),
        (0.1, 0.31, "The button gets 3.1 times as much in B: 10 % -> 31 % (+21.0 points)."),
        (0.1, 0.001, "The button gets almost nothing in B: 10 % -> 0.1 % (-9.9 points)."),
        (0.0, 0.1, "The button gets attention in B only: 0 % -> 10 % (+10.0 points)."),
        (0.0, 0.0, "The button gets no attention: 0 % -> 0 % (+0.0 points)."),
        (None, 0.1, "The button is only in B."),
    ],
)
def test_a_comparison_is_a_sentence(first, second, sentence):
    both = first is not None and second is not None
    difference, factor = (second - first, second / first if first else None) if both else (None, None)
    assert in_words(ComparedRegion("button", first, second, difference, factor)) == sentence


def test_names_of_visitors_are_no_tags():
    moments = [Moment(0.0, 0.1, {"<b>": 0.2}), Moment(1.0, 0.3, {"<b>": 0.4})]
    text = words.clip_html(moments)
    assert "&lt;b&gt;</strong>: 30 % of the attention on average, most at 1.0 s, 40 %" in text
    region = ComparedRegion("<i>", 0.1, 0.2, 0.1, 2.0)
    assert "<i>" not in words.comparison_bars(Comparison([region], [], [], False, []), ["a <note>"])


# --- the model card's figures


def test_the_text_about_the_model_has_the_card_s_figures(small_checkpoint):
    card = about.read_card("mini")
    shown = about.shown_text(card)
    assert not shown.lstrip().startswith("---") and "![" not in shown and "<!--" not in shown
    text = about.about(card, "mini")
    figure = re.search(r"(0\.\d{3}) on OSIE", text)[1]
    assert "It **predicts the average viewer's first seconds, not a person**" in text
    assert "1 is perfect" in text and "Checkpoint: MIT licence" in text
    assert any(line.startswith("| OSIE |") and f" {figure} " in line for line in shown.splitlines())
    nothing = about.about(about.read_card(str(small_checkpoint)))  # a folder without a card
    assert "Checkpoint" not in nothing and "Code: MIT licence" in nothing and " on OSIE" not in nothing


# --- pictures that are refused, and pictures that are odd


def test_hostile_pictures_are_named_before_they_are_decoded(tmp_path):
    for path, message in write_hostile(tmp_path).items():
        started = time.monotonic()
        with pytest.raises(ValueError, match=message) as raised:
            read_upload(upload(path))
        assert time.monotonic() - started < 5
        assert str(path.parent) not in str(raised.value) and "\n" not in str(raised.value)


def test_odd_pictures_are_taken(small_predictor, tmp_path):
    answers = answers_of(small_predictor, tmp_path)
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    result = answers.open(upload(tmp_path / "moving.gif"))
    assert result.size == (40, 30) and (result.image == (255, 0, 0)).all()  # the first frame
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    assert answers.open(upload(tmp_path / "dot.png")).saliency_map.shape == (1, 1)
    Image.new("L", (1, 3000), 7).save(tmp_path / "thread.png")
    assert answers.open(upload(tmp_path / "thread.png")).size == (1, 3000)
    for mode in ("1", "P", "LA", "CMYK", "I;16"):
        large = Image.new(mode, (2000, 1000))
        large.save(tmp_path / f"{mode}.tiff")
        result = answers.open(upload(tmp_path / f"{mode}.tiff"))
        assert result.image.shape == (800, 1600, 3) and result.size == (2000, 1000), mode


def test_damaged_metadata_and_heic_are_taken_as_the_command_takes_them(small_predictor, tmp_path, monkeypatch):
    answers, image = answers_of(small_predictor, tmp_path), Image.new("RGB", (40, 30), "red")
    info = PngInfo()
    info.add_text("Comment", "x" * 30)
    image.save(tmp_path / "text.png", pnginfo=info)
    content = (tmp_path / "text.png").read_bytes()
    (tmp_path / "text.png").write_bytes(content.replace(b"x" * 30, b"y" * 30))  # its checksum is wrong now
    with pytest.warns(ImageWarning):
        assert answers.open(upload(tmp_path / "text.png")).size == (40, 30)
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(image.resize((400, 300))).save(tmp_path / "phone.heic")
    assert answers.open(upload(tmp_path / "phone.heic")).size == (400, 300)
    monkeypatch.setattr(uploads, "MAX_PIXELS", 1000)
    with pytest.raises(ValueError, match="400 x 300 px"):
        uploads.check_upload(tmp_path / "phone.heic", "phone.heic")


def test_the_code_of_the_api_page_sends_a_file():
    with gr.Blocks() as page:
        endpoints.add_endpoints(answers_of(None, None))
    for name, description in page.get_api_info()["named_endpoints"].items():
        snippets = generate_code_snippets(name, description, "http://localhost:7860/")
        assert re.search(r"handle_file\('(photo\.jpg|clip\.mp4)'\)", snippets["python"]), name
        for parameter in description["parameters"]:
            assert not gaps.names_address(parameter["example_input"]), name
            if parameter["label"].startswith("Boxes") and parameter["example_input"]:
                parse_boxes(parameter["example_input"], (600, 400))


def test_large_pictures_are_shrunk_and_turned_and_give_nearly_the_same_map(tmp_path):
    predictor = SaliencyPredictor("mini", dtype="float32")  # bfloat16's rounding is as large as what is looked at here
    large = Image.open(COFFEE).resize((3000, 2000), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[274] = 6  # the camera was held upright
    large.rotate(90, expand=True).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    result = answers_of(predictor, tmp_path).open(upload(tmp_path / "phone.jpg"))
    assert result.size == (3000, 2000) and result.saliency_map.shape == (1067, 1600)
    [whole] = predictor.maps([str(tmp_path / "phone.jpg")])
    smaller = np.asarray(Image.fromarray(whole).resize((1600, 1067), Image.Resampling.BOX))
    assert np.abs(smaller - result.saliency_map).max() < 0.04  # it reacts a little to how an image was shrunk
    assert np.corrcoef(smaller.ravel(), result.saliency_map.ravel())[0, 1] > 0.9995


# --- what is kept


def test_a_map_is_the_predictor_s_own_and_a_picture_passes_the_network_once(
    small_predictor, tmp_path, pictures, monkeypatch
):
    passes, network = [], small_predictor.network
    monkeypatch.setattr(small_predictor, "_network", lambda *given: passes.append(1) or network(*given))
    answers = answers_of(small_predictor, tmp_path)
    image = upload(pictures[0])
    results = [answers.open(image, Settings("mini", prior)) for prior in (True, True, False)]
    assert len(passes) == 2
    np.testing.assert_array_equal(results[0].saliency_map, small_predictor(str(pictures[0])))
    assert not np.array_equal(results[0].saliency_map, results[2].saliency_map)


def test_models_are_those_that_need_no_download(small_checkpoint):
    models = Models(str(small_checkpoint))
    assert list(models.choices) == [small_checkpoint.name, "mini", "vgg16"] and models.default == small_checkpoint.name
    assert models.predictor(small_checkpoint.name) is models.predictor(models.default)
    with pytest.raises(ValueError, match=r"model must be one of .*, got '\.\./x'"):
        models.predictor("../x")
    assert next(iter(Models("mini").choices)) == "mini"


def test_examples_of_one_stem_have_names_of_their_own(tmp_path):
    for name in ("cat.jpg", "cat.png", "dog.webp", "CREDITS.md"):
        (tmp_path / name).write_bytes(b"")
    assert list(find_examples(tmp_path)) == ["Cat", "cat.png", "Dog"]
    assert find_examples(None) == find_examples(tmp_path / "nowhere") == {}


def test_crops_and_reports_of_uploads(small_checkpoint, tmp_path, pictures):
    answers = Answers(Models(str(small_checkpoint)), Files(tmp_path))
    with ZipFile(answers.crops(answers.open(upload(COFFEE)), ["1:1", "16:9"])) as archive:
        assert archive.namelist() == ["coffee.1x1.jpg", "coffee.16x9.jpg", "crops.json"]
        assert Image.open(archive.open("coffee.1x1.jpg")).size == (400, 400)
        assert json.loads(archive.read("crops.json"))["crops"][1]["aspect"] == "16:9"
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"")
    uploads = [upload(broken), *map(upload, pictures)]
    *_, (done, (page, (html_path, csv_path))) = answers.report(uploads, Settings(small_checkpoint.name))
    assert done == 4 and "broken.jpg is empty" in page and page.count("<img ") == 4
    assert html_path.endswith("report.html") and "a.jpg" in Path(csv_path).read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="no longer kept"):
        answers.open(upload(tmp_path / "swept.jpg"))


# --- in front of the server


def test_links_to_the_page_are_previewed_with_its_own_words():
    theirs = b'<head><meta property="og:title" content="Gradio" />\n<meta\n name="twitter:card" content="x"></head>'
    page_of_ours = gaps.with_preview(theirs).decode()
    assert "Gradio" not in page_of_ours and page_of_ours.count("og:title") == 1
    assert f'content="{gaps.TITLE}"' in page_of_ours and page_of_ours.endswith("</head>")


def test_what_asks_for_an_address():
    for path in ("/gradio_api/file=https://example.com/a", "/file=HTTP://10.0.0.1/", "/gradio_api/file= http://x"):
        assert gaps.asks_for_address(path)
    for path in ("/gradio_api/file=/uploads/x/a.png", "/gradio_api/file=C:/x.png", "/", "/gradio_api/upload"):
        assert not gaps.asks_for_address(path)


def test_steps_that_are_left_are_closed_and_mistakes_are_told():
    closed = threading.Event()

    @gaps.for_clients
    def steps(fail):
        try:
            yield 1
            if fail:
                raise ValueError("<b> is no clip.")
            yield 2
        finally:
            closed.set()

    assert list(steps(False)) == [1, 2]
    with pytest.raises(gr.Error, match="&lt;b&gt; is no clip"):
        list(steps(True))
    closed.clear()
    left = steps(False)
    assert next(left) == 1
    left.close()
    assert closed.is_set()
