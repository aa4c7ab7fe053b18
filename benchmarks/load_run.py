"""The command line of the load runs of page and service, and their results as text and JSON."""

import argparse
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil


def run_load(script: Path, description: str, measure: Callable[[int, float, int], dict[str, Any]]) -> dict[str, Any]:
    """Measures as the command line says, prints the results, and writes them beside the script.

    Args:
        script: Of the benchmark.
        description: Of the benchmark.
        measure: From clients, seconds and cores to results.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--output", type=Path, default=script.with_suffix(".json"))
    options = parser.parse_args()
    results = measure(options.clients, options.seconds, options.cores)
    results["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, openvino {version('openvino')}"
    width = max(map(len, results))
    for key, value in results.items():
        print(f"{key:{width}} {value}")
    options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def processor_seconds(process: int) -> float:
    """Processor time that a process has taken, by its number."""
    times = psutil.Process(process).cpu_times()
    return times.user + times.system
