"""Presets of eye trackers' exports: names of columns, units and origin of positions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Units = Literal["px", "fraction", "deg"]
Origin = Literal["upper-left", "lower-left", "centre", "centre-up"]  # y counts down but from below
UNITS: tuple[Units, ...] = get_args(Units)
ORIGINS: tuple[Origin, ...] = get_args(Origin)

RECT = ("left", "top", "width", "height")  # of where the image was shown
OTHERS = ("stimulus", "participant", "recording", "trial", "index", "kind", "valid", "eye", "duration", "time")
ROLES = ("x", "y", *OTHERS, *RECT)  # what `--columns` may name
FIXATIONS = ("fixation", "visual intake")  # what `kind` calls fixations; SMI's glasses say the latter
VALID = frozenset(["1", "true", "valid"])
TIME_UNITS = {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6}  # in milliseconds


@dataclass(frozen=True)
class Position:
    """Two columns that hold a position.

    Args:
        x: Name of the column.
        y: Name of the column.
        units: `None` if the table has to tell.
        on_image: Whether they count on the image, not on the screen.
        origin: From where they count.
        valid: Column that says whether they hold; without one, all do.
        is_sample: Whether they are samples, from which fixations are still to be found, if no one names the columns.
    """

    x: str
    y: str
    units: Units | None = "px"
    on_image: bool = False
    origin: Origin = "upper-left"
    valid: str | None = None
    is_sample: bool = False


@dataclass(frozen=True)
class Preset:
    """The exports of a tracker.

    Args:
        positions: Possible columns of positions; the first that exists is used.
        columns: Names that a column of each role may have.
        duration_unit: A key of `TIME_UNITS`, where the column's name does not say it.
        stimulus_in_name: Prefix of the stimulus in file names, if each file has one stimulus.
    """

    positions: tuple[Position, ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    duration_unit: str = "ms"
    stimulus_in_name: str | None = None


PRESETS = {
    # Tobii Pro Lab, "Data export": one row a sample; names with and without the units in brackets, by version.
    # gazeplotter.com/docs/upload-data/tobii-pro-lab lists the columns; DACS counts on the screen, MCS on the media.
    "tobii": Preset(
        positions=(
            Position("Fixation point X", "Fixation point Y"),
            Position("Fixation point X [DACS px]", "Fixation point Y [DACS px]"),
            Position("Fixation point X [MCS norm]", "Fixation point Y [MCS norm]", "fraction", on_image=True),
            Position("Fixation point X (MCSnorm)", "Fixation point Y (MCSnorm)", "fraction", on_image=True),
            Position("Fixation point X [MCS px]", "Fixation point Y [MCS px]", on_image=True),
            Position("Gaze point X", "Gaze point Y", is_sample=True),
            Position("Gaze point X [DACS px]", "Gaze point Y [DACS px]", is_sample=True),
        ),
        columns={
            "stimulus": ("Presented Media name", "Presented Stimulus name"),
            "participant": ("Participant name",),
            "recording": ("Recording name",),
            "index": ("Eye movement type index",),
            "kind": ("Eye movement type",),
            "duration": (
                "Gaze event duration",
                "Gaze event duration [ms]",
                "Eye movement event duration",
                "Eye movement event duration [ms]",
            ),
            "time": ("Recording timestamp", "Recording timestamp [ms]", "Recording timestamp [μs]"),
            "left": ("Presented Media position X (DACSpx)", "Presented Media position X [DACS px]"),
            "top": ("Presented Media position Y (DACSpx)", "Presented Media position Y [DACS px]"),
            "width": ("Presented Media width", "Presented Media width [px]"),
            "height": ("Presented Media height", "Presented Media height [px]"),
        },
    ),
    # SR Research, EyeLink Data Viewer, fixation report: one row a fixation, a dot where a value is missing. Which
    # variable names the image is up to the experiment. Names as in published reports of Data Viewer.
    "eyelink": Preset(
        positions=(Position("CURRENT_FIX_X", "CURRENT_FIX_Y"),),
        columns={
            "participant": ("RECORDING_SESSION_LABEL",),
            "trial": ("TRIAL_INDEX",),
            "eye": ("EYE_REPORTED",),
            "duration": ("CURRENT_FIX_DURATION",),
        },
    ),
    # Gazepoint Analysis, "User N_fixations.csv" and "User N_all_gaze.csv": fractions of the screen, seconds; a
    # fixation's last sample is complete. Open Gaze API (gazept.com); Karargyris et al., Scientific Data 8:92, Table 2.
    "gazepoint": Preset(
        positions=(
            Position("FPOGX", "FPOGY", "fraction", valid="FPOGV"),
            Position("BPOGX", "BPOGY", "fraction", valid="BPOGV", is_sample=True),
        ),
        columns={"stimulus": ("MEDIA_NAME",), "index": ("FPOGID",), "duration": ("FPOGD",)},
        duration_unit="s",
    ),
    # Pupil Player, surface tracker, "fixations_on_surface_NAME.csv": fractions of the surface from its lower left
    # corner, a row for each video frame (docs.pupil-labs.com/core/software/pupil-player). Pupil Cloud, reference image
    # mapper, "fixations.csv" (docs.pupil-labs.com/export-formats/enrichment-data/reference-image-mapper).
    "pupil": Preset(
        positions=(
            Position("norm_pos_x", "norm_pos_y", "fraction", on_image=True, origin="lower-left", valid="on_surf"),
            Position(
                "fixation x [px]",
                "fixation y [px]",
                on_image=True,
                valid="fixation detected in reference image",
            ),
        ),
        columns={
            "participant": ("recording id",),
            "index": ("fixation_id", "fixation id"),
            "duration": ("duration", "duration [ms]"),
        },
        stimulus_in_name="fixations_on_surface_",
    ),
    # SMI BeGaze, "Export", "Metrics Export", "Event Statistics", "Single": one row an event, a hyphen where a value is
    # missing; pixels of the calibration area (as in published exports of BeGaze).
    "smi": Preset(
        positions=(Position("Fixation Position X [px]", "Fixation Position Y [px]"),),
        columns={
            "stimulus": ("Stimulus",),
            "participant": ("Participant",),
            "trial": ("Trial",),
            "index": ("Index",),
            "kind": ("Category",),
            "eye": ("Eye L/R",),
            "duration": ("Event Duration [ms]",),
        },
    ),
    # pymovements, `Gaze.save(..., extension="csv")`: events with the property "location" of the pixels, or samples.
    "pymovements": Preset(
        positions=(Position("location_x", "location_y"), Position("pixel_x", "pixel_y", is_sample=True)),
        columns={"kind": ("name",), "duration": ("duration",), "time": ("time",)},
    ),
}
