"""The dataset card of an export: contents, origin and terms."""

from collections.abc import Mapping

from huggingface_hub import DatasetCard, DatasetCardData

from .catalog import DataSet

COLUMNS = {
    "image": "the image",
    "file_name": "the image's file, relative to the folder of the data set; the images themselves are not here",
    "saliency_map": "density of the fixations, 8-bit grey, as large as the image",
    "fixations": "`[x, y]` in pixels, 0-based, the centre of the first pixel being 0",
    "image_id": "the image's name in the data set",
    "observers": "which observer made each fixation; empty where that is not known",
    "sigma": "standard deviation in pixels of the Gaussian that made the density; null where the data set brings it",
    "recording": "how gaze was recorded: `eye` (an eye tracker) or `mouse` (mouse tracking); null where not known",
    "outside": "how many fixations lay outside the image and are left out",
}
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K"}
BODY = """# {title}

Images with human fixations: {title}, written by `mlnet data export`.

| split | rows |
|---|---|
{rows}

| column | what it holds |
|---|---|
{columns}

```python
from modeling_mlnet.data import load  # pip install 'mlnet-saliency[eval]'

rows = load({call})
```

## Terms

Annotations: {licence}. Photographs: {photos}.{warning}
{origin}"""
PRIVATE = (
    " **The photographs are inside these files and may not be given to others: keep this copy to yourself, or export"
    " the annotations alone (`--annotations-only`).**"
)


def dataset_card(title: str, known: DataSet | None, rows: Mapping[str, int], columns: list[str]) -> DatasetCard:
    """The card of an export.

    Args:
        title: Name of the data set.
        known: Its entry in the catalogue; `None` for other data sets.
        rows: Number of rows of each split.
        columns: Columns of the files; without `image` it is an annotation-only export.
    """
    with_photos = "image" in columns
    private = known is not None and with_photos and not known.photos_are_free
    # no list of data files: `datasets` finds them by their names, and with one it would take two exports into folders
    # of one name for the same data set, once the first is in its cache
    data = DatasetCardData(
        pretty_name=title,
        license="other" if private else known.licence if known else "unknown",
        tags=["saliency", "eye-fixations", "visual-attention"],
        size_categories=next((name for most, name in SIZES.items() if sum(rows.values()) < most), "100K<n<1M"),
    )
    body = BODY.format(
        title=title,
        rows="\n".join(f"| {split} | {count} |" for split, count in rows.items()),
        columns="\n".join(f"| `{name}` | {COLUMNS[name]} |" for name in columns),
        call='"FOLDER"' if with_photos else '"FOLDER", images="FOLDER OF THE DATA SET"',
        licence=known.licence if known else "not stated",
        photos=known.photos if known else "not stated",
        warning=PRIVATE if private else "",
        origin=f"\n## Source\n\n{known.source}\n\n```bibtex\n{known.citation}\n```\n" if known else "",
    )
    return DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{body}")
