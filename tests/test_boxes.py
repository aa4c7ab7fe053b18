"""Boxes from texts and files: CSV, labelme, COCO, YOLO; pixels and fractions."""

import json
from pathlib import Path

import pytest

from modeling_mlnet.analysis import Box, BoxSource, parse_box, read_boxes, to_pixels

PHOTO = Path("shots/photo.jpg")
SIZE = (200, 100)


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def boxes_of(path, image=PHOTO, size=SIZE, units="auto"):
    boxes, problems = read_boxes(path).for_image(image, size, units)
    assert not problems
    return boxes


# --- texts and units


def test_a_box_is_read_from_a_text():
    assert parse_box("logo:48,18,197,34") == Box("logo", 48, 18, 197, 34)
    assert parse_box(" a: b : 1; 2.5; 3 ;4 ") == Box("a: b", 1, 2.5, 3, 4)
    assert parse_box("1,2,3,4").name == ""
    for wrong in ("logo", "logo:1,2,3", "logo:1,2,3,4,5", "logo:a,b,c,d", ""):
        with pytest.raises(ValueError, match="expected NAME:X,Y,WIDTH,HEIGHT"):
            parse_box(wrong)


def test_pixels_and_fractions_are_told_apart_or_refused():
    fractions = [Box("a", 0, 0.5, 0.25, 0.5)]
    assert to_pixels(fractions, SIZE) == [Box("a", 0, 50, 50, 50)]
    assert to_pixels(fractions, SIZE, "pixels") == fractions
    pixels = [Box("a", 0, 0.5, 10, 0.5)]
    assert to_pixels(pixels, SIZE) == pixels
    with pytest.raises(ValueError, match=r"box 'a' .* may be in fractions, box 'b' .* is in pixels; state the units"):
        to_pixels([*fractions, Box("b", 1, 1, 40, 40)], SIZE)
    with pytest.raises(ValueError, match="may be in pixels or in fractions; state the units"):
        to_pixels([Box("a", 0, 0, 1, 1)], SIZE)
    assert to_pixels([Box("a", 0, 0, 1, 1)], SIZE, "fractions") == [Box("a", 0, 0, 200, 100)]
    with pytest.raises(ValueError, match="units must be one of auto, pixels, fractions, got 'percent'"):
        to_pixels([], SIZE, "percent")


# --- files


def test_the_four_kinds_of_file_hold_the_same_boxes(tmp_path):
    table = write(tmp_path / "boxes.csv", "name,x,y,width,height\nlogo,20,10,100,50\nface,0,0,30,40\n")
    semicolons = write(tmp_path / "semi.csv", "\ufeffName; X; Y; Width; Height\nlogo;20;10;100;50\nface;0;0;30;40\n")
    shapes = [
        {"label": "logo", "shape_type": "rectangle", "points": [[120, 60], [20, 10]]},
        {"label": "face", "shape_type": "rectangle", "points": [[0, 0], [30, 40]]},
    ]
    sizes = {"imageWidth": 200, "imageHeight": 100}
    labelme = write(tmp_path / "photo.json", {"shapes": shapes, "imagePath": "..\\shots\\photo.jpg", **sizes})
    coco = write(
        tmp_path / "coco.json",
        {
            "images": [
                {"id": 7, "file_name": "photo.jpg", "width": 200, "height": 100},
                {"id": 8, "file_name": "other.jpg"},
            ],
            "categories": [{"id": 1, "name": "logo"}, {"id": 2, "name": "face"}],
            "annotations": [
                {"image_id": 7, "category_id": 1, "bbox": [20, 10, 100, 50], "segmentation": [[1, 2]]},
                {"image_id": 8, "category_id": 1, "bbox": [1, 1, 1, 1]},
                {"image_id": 7, "category_id": 2, "bbox": [0, 0, 30, 40]},
            ],
        },
    )
    write(tmp_path / "classes.txt", "logo\nface\n")
    yolo = write(tmp_path / "photo.txt", "0 0.35 0.35 0.5 0.5\n1 0.075 0.2 0.15 0.4 0.93\n")
    expected = [Box("logo", 20, 10, 100, 50), Box("face", 0, 0, 30, 40)]
    for path in (table, semicolons, labelme, coco, yolo):
        boxes = boxes_of(path)
        assert [box.name for box in boxes] == ["logo", "face"], path.name
        for box, wanted in zip(boxes, expected, strict=True):
            measured = (box.x, box.y, box.width, box.height)
            assert measured == pytest.approx((wanted.x, wanted.y, wanted.width, wanted.height)), path.name


def test_a_table_says_which_image_and_units(tmp_path):
    table = write(
        tmp_path / "boxes.csv",
        "image,name,x,y,width,height,units\nphoto.jpg,a,0,0,1,1,fractions\nshots/photo.jpg,b,5,5,9,9,\n"
        "xphoto.jpg,c,1,1,9,9,\n,d,2,2,9,9,pixels\n",
    )
    assert boxes_of(table) == [Box("a", 0, 0, 200, 100), Box("b", 5, 5, 9, 9), Box("d", 2, 2, 9, 9)]
    assert [box.name for box in boxes_of(table, Path("xphoto.jpg"))] == ["c", "d"]


def test_what_mlnet_regions_writes_can_be_read_again(tmp_path):
    rows = "image,name,x,y,width,height,share\nphoto.jpg,a,5,6,70,8,0.25\n"
    assert boxes_of(write(tmp_path / "regions.csv", rows)) == [Box("a", 5, 6, 70, 8)]


def test_a_label_used_twice_is_numbered_a_name_used_twice_is_refused(tmp_path):
    yolo = write(tmp_path / "photo.txt", "3 .5 .5 .1 .1\n3 .2 .2 .1 .1\n4 .5 .5 .1 .1\n")
    assert [box.name for box in boxes_of(yolo)] == ["3 1", "3 2", "4"]
    table = write(tmp_path / "boxes.csv", "name,x,y,width,height\na,1,1,9,9\na,2,2,9,9\nb,3,3,9,9\n")
    boxes, problems = read_boxes(table).for_image(PHOTO, SIZE)
    assert [box.name for box in boxes] == ["a", "b"] and "'a' is used twice" in problems[0]


def test_entries_that_are_no_boxes_are_named_and_the_rest_is_read(tmp_path):
    shapes = [
        {"label": "dog", "shape_type": "polygon", "points": [[1, 1], [2, 2], [3, 1]]},
        {"label": "cat", "shape_type": "rectangle", "points": [[1, 1]]},
        "nothing",
        {"label": "ok", "shape_type": "rectangle", "points": [[1, 1], [20, 20]]},
    ]
    file = read_boxes(write(tmp_path / "photo.json", {"shapes": shapes, "imagePath": "photo.jpg"}))
    assert [box.box.name for box in file.boxes] == ["ok"]
    assert "shape 1 'dog' is a polygon; only a rectangle is a box" in file.problems[0]
    assert "shape 2 'cat' needs two points" in file.problems[1] and "shape 3" in file.problems[2]
    annotations = [
        {"image_id": 1, "segmentation": {"counts": "abc", "size": [1, 1]}},
        {"image_id": 9, "bbox": [1, 1, 2, 2]},
        {"image_id": 1, "bbox": [1, 1, 2]},
        {"image_id": 1, "bbox": [1, 1, None, 2]},
        {"image_id": 1, "category_id": 5, "bbox": [1, 1, 20, 20]},
        7,
    ]
    images = [{"id": 1, "file_name": "photo.jpg"}]
    file = read_boxes(write(tmp_path / "coco.json", {"images": images, "annotations": annotations}))
    assert [box.box.name for box in file.boxes] == ["5"] and len(file.problems) == 5
    assert "annotation 1 is a mask without a bbox" in file.problems[0]
    assert "annotation 4 has the bbox [1, 1, None, 2]" in file.problems[3]
    (tmp_path / "classes.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(ValueError, match=r"classes\.txt: cannot be read: it is not UTF-8 text"):
        read_boxes(write(tmp_path / "photo.txt", "0 .5 .5 .1 .1\n"))
    (tmp_path / "classes.txt").unlink()
    file = read_boxes(
        write(tmp_path / "boxes.csv", "name,x,y,width,height\na,1,1,x,9\nb,1,1\nc,nan,1,9,9\nd,1,1,9,9\n")
    )
    assert "line 2: expected name,x,y,width,height, got 'a,1,1,x,9'" in file.problems[0] and len(file.problems) == 2
    boxes, problems = file.for_image(PHOTO, SIZE)
    assert [box.name for box in boxes] == ["d"] and "not finite" in problems[0]
    file = read_boxes(
        write(tmp_path / "photo.txt", "0 .5 .5 .1\n0 50 50 10 10\n1 .1 .1 .2 .2 .3 .3 .4\n2 .5 .5 .1 .1\n")
    )
    assert len(file.problems) == 3 and "in fractions, got '0 50 50 10 10'" in file.problems[1]


def test_boxes_drawn_on_an_image_of_another_size_are_refused(tmp_path):
    shape = {"label": "a", "shape_type": "rectangle", "points": [[1, 1], [20, 20]]}
    sizes = {"imageWidth": 400, "imageHeight": 200}
    file = read_boxes(write(tmp_path / "photo.json", {"shapes": [shape], "imagePath": "photo.jpg", **sizes}))
    boxes, problems = file.for_image(PHOTO, SIZE)
    assert not boxes and "for 400 x 200 px, the image has 200 x 100 px" in problems[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mask.png", "x", "boxes are read from CSV, labelme or COCO JSON, or YOLO text"),
        ("boxes.csv", "logo,1,2,3,4\n", "expected a first line name,x,y,width,height"),
        ("boxes.csv", "", "expected a first line"),
        ("boxes.csv", "name,x,y,width,height\n", "has no boxes"),
        ("boxes.json", "{", "is not JSON"),
        ("boxes.json", "[1]", "is neither labelme"),
        ("boxes.json", '{"images": [{"file_name": "a.jpg"}], "annotations": []}', "has no id or name"),
    ],
)
def test_a_file_without_boxes_is_named(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError, match=message) as raised:
        read_boxes(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    for name in ("binary.csv", "absent.csv"):
        with pytest.raises(ValueError, match=rf"{name}: cannot be read"):
            read_boxes(tmp_path / name)


# --- texts and files together


def test_a_source_gives_the_boxes_of_every_image(tmp_path):
    for stem in ("photo", "other"):
        write(tmp_path / f"{stem}.csv", f"name,x,y,width,height\n{stem},1,1,9,9\n")
    source = BoxSource(["logo:5,5,20,20"], [str(tmp_path)])
    boxes, problems = source.for_image(PHOTO, SIZE)
    assert [box.name for box in boxes] == ["logo", "photo"] and not problems and source.names_image(PHOTO)
    boxes, problems = source.for_image(Path("third.jpg"), SIZE)
    assert [box.name for box in boxes] == ["logo"] and "has none of third.csv" in problems[0]
    table = BoxSource([], [str(tmp_path / "photo.csv")])
    assert not table.names_image(PHOTO) and table.for_image(PHOTO, SIZE)[0][0].name == "photo"
    with pytest.raises(ValueError, match="state the units"):
        BoxSource(["a:.1,.1,.1,.1", "b:1,1,9,9"], [])
