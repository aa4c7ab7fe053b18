"""`mlnet table`: results files in one table."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modeling_mlnet.baselines import BASELINES
from modeling_mlnet.cli import app
from modeling_mlnet.evaluation.results import compare, write_json
from modeling_mlnet.evaluation.tables import latex_table, markdown_table, table_rows

SCORES = {"mini": [0.5, 0.6, 0.7, 0.8], "my_own": [0.4, 0.4, 0.5, 0.5], "inter-observer": [0.9, 0.9, 0.8, 0.8]}


def results(model: str, dataset: str = "osie:/data/osie", **changes) -> dict:
    scores = SCORES[model]
    summary = {"mean": sum(scores) / 4, "low": min(scores), "high": max(scores), "n": 4}
    rows = [{"image_id": str(k), "fixations": 1, "CC": score, "KL": 1 - score} for k, score in enumerate(scores)]
    kl = {"mean": 1 - summary["mean"], "low": 1 - summary["high"], "high": 1 - summary["low"], "n": 4}
    truth = "every second observer" if model == "inter-observer" else "all"
    facts = {
        "model": model,
        "dataset": dataset,
        "dataset_sha256": dataset,
        "protocol": "mit",
        "images": 4,
        "truth": truth,
    }
    return facts | {"metrics": {"CC": summary, "KL": kl}, "per_image": rows} | changes


def all_results() -> dict[str, dict]:
    return {f"{model}.json": results(model) for model in SCORES}


def test_scores_and_differences_of_a_data_set_stand_in_one_table():
    table = markdown_table(*table_rows(all_results()))
    assert table.splitlines() == [
        "| data set | images | | CC | KL ↓ |",
        "|---|---|---|---|---|",
        "| osie | 4 | mini | 0.650 (0.500..0.800) | 0.350 (0.200..0.500) |",
        "|  |  | my_own | 0.450 (0.400..0.500) | 0.550 (0.500..0.600) |",
        "|  |  | inter-observer | 0.850 (0.800..0.900) | 0.150 (0.100..0.200) |",
    ]
    columns, rows = table_rows(all_results(), ["KL"], against="mini")
    expected = compare(results("mini"), results("my_own"))["KL"]
    [cell] = rows[1].cells
    assert columns == ["KL"] and (cell.mean, cell.low, cell.high) == tuple(
        expected[k] for k in ("mean", "low", "high")
    )
    lines = markdown_table(columns, rows, intervals=False).splitlines()
    assert lines[2:] == [
        "| osie | 4 | mini | 0.350 |",
        "|  |  | my_own | **+0.200** |",
        "|  |  | inter-observer | - |",
    ]


def test_latex_is_escaped_and_has_a_rule_before_every_data_set():
    given = all_results() | {"more.json": results("mini", "folder:/data/a_b")}
    text = latex_table(*table_rows(given, ["CC"]))
    assert text.count(r"\midrule") == 2 and text.startswith("\\begin{tabular}{lrlr}\n\\toprule\n")
    assert r"a\_b & 4 & mini & $0.650$ {\scriptsize ($0.500$, $0.800$)} \\" in text
    differences = latex_table(*table_rows(all_results(), ["CC"], against="mini"), intervals=False)
    assert r" &  & my\_own & $\mathbf{-0.200}$ \\" in differences and r"inter-observer & -- \\" in differences


@pytest.mark.parametrize(
    ("changed", "arguments", "message"),
    [
        ({"protocol": "tuebingen"}, {}, "b.json: results differ in protocol: 'mit' and 'tuebingen'"),
        ({"dataset_sha256": "other"}, {}, "the results on osie are of different data: mini, my_own"),
        ({"model": "/runs/mini"}, {}, "b.json: mini on osie is in another file already"),
        ({}, {"metrics": ["NSS"]}, "metric 'NSS' is not in all results; these are: CC, KL"),
        ({}, {"against": "vgg"}, "no results of 'vgg' on osie; there are mini, my_own"),
    ],
)
def test_what_does_not_go_into_one_table_is_refused(changed, arguments, message):
    with pytest.raises(ValueError) as error:
        table_rows({"a.json": results("mini"), "b.json": results("my_own") | changed}, **arguments)
    assert str(error.value) == message


def test_the_command_prints_a_table_of_files(tmp_path: Path):
    files = [tmp_path / f"{model}.json" for model in SCORES]
    for file, model in zip(files, SCORES, strict=True):
        write_json(file, results(model))
    words = ["table", *map(str, files)]
    assert (
        "| osie | 4 | mini | 0.650 |" in CliRunner().invoke(app, [*words, "--metric", "CC", "--no-intervals"]).output
    )
    assert r"\mathbf{-0.200}" in CliRunner().invoke(app, [*words, "--against", "mini", "--format", "latex"]).output
    result = CliRunner().invoke(app, [*words, "--format", "csv"])
    assert result.exit_code == 2 and "must be one of ['markdown', 'latex'], got 'csv'" in " ".join(
        result.output.split()
    )
    assert json.loads(files[0].read_text())["model"] == "mini"


@pytest.mark.parametrize("command", ["evaluate", "figure"])
def test_help_names_every_baseline(command):
    help_text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "300"}).output
    assert all(name in help_text for name in BASELINES)
