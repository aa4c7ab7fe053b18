"""Runs over collections: in this process, in those of torchrun, or in tasks of Ray."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..inference.outputs import NO_ROOM
from .batch import BatchPredictor
from .collection import Collection
from .plan import SHARD_BYTES, Plan, Shard, make_plan
from .shards import RECORDS, Outcome, ShardWriter
from .storage import Folder

ENGINES = ("none", "torchrun", "ray")
AHEAD = 2  # shards that wait in Ray for each that is worked on


@dataclass
class RunReport:
    """What became of a run.

    Args:
        rows: Of the shards that are whole now, those that were there already included.
        errors: Of these, rows with an error.
        shards: How many were `written`, `there` already, `redone`, and `failed`.
        problems: One line for every shard that failed.
    """

    rows: int = 0
    errors: int = 0
    shards: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Counts one more shard."""
        self.shards[outcome.status] += 1
        if outcome.record is not None:
            self.rows += outcome.record.rows
            self.errors += outcome.record.errors
        if outcome.problem is not None:
            self.problems.append(outcome.problem)


def predict_collection(
    collection: Collection,
    output: str,
    predictor: BatchPredictor,
    engine: str | None = None,
    workers: int | None = None,
    shard_bytes: int = SHARD_BYTES,
    rows_per_shard: int | None = None,
    on_rows: Callable[[int, int], None] = lambda rows, total: None,
) -> RunReport:
    """Predicts every image of a collection into a folder of Parquet shards, each exactly once.

    The shards keep the collection's order, and its columns without the images. A run that was ended, in whatever way,
    is continued by the same call: whole shards stay, missing and damaged ones are made. The result is the same, byte
    for byte.

    Args:
        collection: Of `parquet_files` or `image_files`.
        output: A folder, local or at a URI of fsspec, that is new or of such a run.
        predictor: What is added to the rows.
        engine: `"none"` works in this process, `"torchrun"` on this process's share of the shards, `"ray"` in tasks of
            Ray, of the cluster in `RAY_ADDRESS` or of this machine; `None` is torchrun in its processes, else none.
        workers: Tasks of Ray at a time; `None` is one for each of its CPUs or GPUs.
        shard_bytes: As in `make_plan`, and so is `rows_per_shard`.
        on_rows: Called with a number of rows that are done and with how many this process has to do.

    Raises:
        ValueError: If the engine is unknown or not at hand, and as `make_plan`.
        OSError: If there is no room for further shards.
    """
    if engine is not None and engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    launched = "WORLD_SIZE" in os.environ and "RANK" in os.environ
    if engine == "torchrun" and not launched:
        raise ValueError("engine torchrun: RANK and WORLD_SIZE are not set; start the command with torchrun")
    folder = Folder(output)
    plan = make_plan(collection, predictor.resolved(), folder, shard_bytes, rows_per_shard)
    writer = ShardWriter(plan, folder)
    report = RunReport()
    if engine == "ray":
        outcomes = _by_ray(plan, writer, workers, on_rows)
    else:
        is_shared = launched and engine != "none"
        rank, processes = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE")) if is_shared else (0, 1)
        outcomes = _in_process(plan, writer, range(rank, plan.count, processes), on_rows)
    for outcome in outcomes:
        report.add(outcome)
    if len(folder.names(RECORDS)) >= plan.count:  # of all processes
        folder.remove_temporary()
    return report


def attempt(writer: ShardWriter, shard: Shard, on_rows: Callable[[int], None] = lambda rows: None) -> Outcome:
    """Makes one shard; what fails is told, unless every further shard would fail, too.

    Raises:
        OSError: If there is no room for further shards.
    """
    try:
        return writer.ensure(shard, on_rows)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise
        return Outcome(shard.name, "failed", problem=f"{shard.name}: {' '.join(str(error).split())}")


def _in_process(
    plan: Plan, writer: ShardWriter, indices: range, on_rows: Callable[[int, int], None]
) -> Iterator[Outcome]:
    total = sum(plan.shard(index).rows for index in indices)
    for index in indices:
        yield attempt(writer, plan.shard(index), lambda rows: on_rows(rows, total))


def _by_ray(
    plan: Plan, writer: ShardWriter, workers: int | None, on_rows: Callable[[int, int], None]
) -> Iterator[Outcome]:
    """A task for each shard; Ray starts one again whose process or machine is lost, as often as that happens."""
    import ray

    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level="warning", include_dashboard=False)
    needs: dict[str, Any] = {"num_cpus": 1} if writer.predictor.is_on_cpu else {"num_cpus": 1, "num_gpus": 1}
    task = ray.remote(max_retries=-1, **needs)(attempt)
    unit = "CPU" if writer.predictor.is_on_cpu else "GPU"
    workers = workers or max(1, int(ray.cluster_resources().get(unit, 1)))
    shared, indices = ray.put(writer), iter(range(plan.count))
    waiting: list[Any] = []
    while True:
        waiting += [
            task.remote(shared, plan.shard(index)) for index in islice(indices, AHEAD * workers - len(waiting))
        ]
        if not waiting:
            return
        [done], waiting = ray.wait(waiting)
        outcome: Outcome = ray.get(done)
        if outcome.record is not None:
            on_rows(outcome.record.rows, plan.rows)
        yield outcome
