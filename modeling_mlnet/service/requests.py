"""Parsing of requests, as forms or JSON, and the choice of the kind of answer."""

import base64
import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, ValidationInfo, WithJsonSchema
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from ..inference.uploads import MAX_BOXES, MAX_BYTES

MAX_BODY = MAX_BYTES * 4 // 3 + 2**20  # bytes: an image in base64, and what is beside it
FORM, JSON = "multipart/form-data", "application/json"


class Upload(NamedTuple):
    """An image file that was sent.

    Args:
        name: The sender's name for it; for images in JSON the name of the field.
        content: Content of the file.
    """

    name: str
    content: bytes


def _read_upload(value: Any, info: ValidationInfo) -> Upload:
    if isinstance(value, Upload):
        return value
    if not isinstance(value, str):
        raise ValueError("expected an image file; in JSON, its content in base64")
    head, _, text = value.rpartition(",")  # of a data URL
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise ValueError("is not base64") from None
    if head and not (head.startswith("data:") and head.endswith(";base64")):
        raise ValueError("is not base64")
    return Upload(str(info.field_name), content)


ImageField = Annotated[
    Upload,
    PlainValidator(_read_upload),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "description": "An image file."}),
]
Boxes = Annotated[
    list[str],
    Field(max_length=MAX_BOXES, description=f"Boxes as NAME:X,Y,WIDTH,HEIGHT, at most {MAX_BOXES}."),
]
Units = Annotated[
    Literal["auto", "pixels", "fractions"], Field(description="Of the boxes; auto tells pixels and fractions apart.")
]


class AnyRequest(BaseModel):
    """Fields of every request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    prior: bool = Field(True, description="Apply the learned prior.")
    tiles: Literal["auto", "off"] = Field("auto", description="Overlapping windows for images far from 4:3.")


class PredictRequest(AnyRequest):
    """Fields of `/v1/predict`."""

    image: ImageField
    recording: str | None = Field(None, description="Kind of recording: eye or mouse, if the model knows both.")
    style: Literal["map", "heat", "contour", "spotlight"] = Field(
        "map", description="Of a PNG: the map in 8-bit grey, or one of the overlays."
    )


class RegionsRequest(AnyRequest):
    """Fields of `/v1/regions`."""

    image: ImageField
    boxes: Boxes = []
    units: Units = "auto"


class CompareRequest(AnyRequest):
    """Fields of `/v1/compare`."""

    first: ImageField
    second: ImageField
    boxes: Boxes = []
    second_boxes: Boxes = []
    units: Units = "auto"


class CropRequest(AnyRequest):
    """Fields of `/v1/crop`."""

    image: ImageField
    aspect: str = Field(description="Shapes as width:height, with commas. A PNG shows the window of one shape.")


class Body(NamedTuple):
    """The body of a request, as it was sent.

    Args:
        fields: Fields of a form, each with its values.
        content: Content of a JSON request.
    """

    fields: dict[str, list[str | Upload]] | None
    content: bytes

    def parse(self, kind: type[AnyRequest]) -> Any:
        """The request that it holds.

        Raises:
            ValueError: If it is no such request, naming the fields.
        """
        if self.fields is None:
            try:
                values = json.loads(self.content)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"the body is not JSON: {error}") from None
        else:
            lists = {name for name, field in kind.model_fields.items() if field.annotation == list[str]}
            values = {name: sent if name in lists else sent[0] for name, sent in self.fields.items()}
            for name, sent in self.fields.items():
                if len(sent) > 1 and name not in lists:
                    raise ValueError(f"{name}: sent {len(sent)} times; send it once")
        try:
            return kind.model_validate(values)
        except ValidationError as error:
            raise ValueError("; ".join(_explain(problem) for problem in error.errors())) from None


def _explain(problem: Any) -> str:
    """One line about an invalid field, with its value unless it may be an image."""
    name = ".".join(map(str, problem["loc"])) or "the body"
    message = problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    is_short = isinstance(value, (str, int, float)) and len(str(value)) <= 60
    return f"{name}: {message[:1].lower()}{message[1:]}" + (f", got {value!r}" if is_short else "")


async def read_body(request: Request) -> Body:
    """The body of a request.

    Raises:
        HTTPException: With status 415 if it is neither a form nor JSON, 400 if a form cannot be read.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == JSON:
        return Body(None, await request.body())
    if media_type != FORM:
        raise HTTPException(415, f"send {FORM} or {JSON}, got {media_type[:60] or 'no content type'}")
    fields: dict[str, list[str | Upload]] = {}
    async with request.form(max_files=2, max_fields=200) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                file = PurePath((value.filename or name).replace("\\", "/")).name[:80]
                fields.setdefault(name, []).append(Upload(file, await value.read()))
            else:
                fields.setdefault(name, []).append(value)
    return Body(fields, b"")


def choose_kind(accept: str, offered: Sequence[str]) -> str:
    """The media type of the answer: of those with the highest weight the first that is offered.

    Args:
        accept: The header of the request (RFC 9110, section 12.5.1); empty accepts all.
        offered: Media types, the preferred one first.

    Raises:
        HTTPException: With status 406, if none is accepted.
    """
    weights: dict[str, float] = {}
    for part in accept.lower().split(",") if accept.strip() else ["*/*"]:
        media_range, *parameters = (word.strip() for word in part.split(";"))
        weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            weights[media_range] = float(weight)
        except ValueError:
            continue

    def weigh(media_type: str) -> float:
        ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
        return next((weights[media_range] for media_range in ranges if media_range in weights), 0.0)

    best = max(offered, key=weigh)
    if not weigh(best) > 0:
        raise HTTPException(406, f"the answer can be {', '.join(offered)}, not {accept[:60]}")
    return best
