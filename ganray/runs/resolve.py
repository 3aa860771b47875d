"""Resolving every `auto` of a job once, when its run is created, and comparing a resume with what was resolved."""

from collections.abc import Iterator
from typing import Any

import ray

from ganray.cluster.errors import results_of
from ganray.cluster.gpus import check_not_shared, decide_gpus, unusable
from ganray.config import Job, apply_overrides, check_job
from ganray.config.schedules import decide_schedules
from ganray.data.card import DatasetCard
from ganray.errors import ConfigError
from ganray.runs.data_checks import check_data, resolve_evaluate

RESIDENT_SHARE = 0.6  # of a node's object store, at most
MAY_GROW = ("train.total_images", "train.max_seconds")
MAY_CHANGE: tuple[str, ...] = ("track", "workers", "use_gpu", "resources.cpus_per_worker", "resources.gpus_per_worker", "storage")
MAY_CHANGE += ("train.checkpoint_every", "train.keep_checkpoints", "train.log_every", "train.samples_every", "train.max_failures")
MAY_CHANGE += ("train.max_preemption_failures", "train.worker_timeout", "train.collective_timeout")
MAY_CHANGE += ("data.resident_limit_mb", "data.max_bad_fraction")  # the data is prepared, and its mode decided
MAY_CHANGE += ("publish.every", "publish.licence", "publish.data_licence", "publish.intended_use", "publish.limits", "publish.signing_key")


def resolve_job(job: Job, card: DatasetCard) -> Job:
    """Return the job with every `auto` resolved, for this data and the connected cluster.

    Raises `ConfigError` for what they do not allow, and `DataError` for data that nothing can be learned from.
    """
    check_data(job, card)
    job = decide_gpus(job) if job.use_gpu == "auto" else job
    check_not_shared(job)
    decided = {
        "use_gpu": job.use_gpu,
        "train.precision": _precision(job),
        "data.mode": _mode(job, card),
        "evaluate": resolve_evaluate(job.evaluate, card).model_dump(mode="json"),
    }
    resolved = apply_overrides(job.model_dump(mode="json"), decided)
    return check_job(decide_schedules(resolved, job.train.total_images))


def resume_job(job: Job, stored: Job, *, may_grow: tuple[str, ...] = MAY_GROW, may_change: tuple[str, ...] = MAY_CHANGE) -> Job:
    """Return the stored job with what a resume may change; raises `ConfigError` for any other difference, naming the field."""
    asked, decided = job.model_dump(mode="json"), stored.model_dump(mode="json")
    changes = {}
    for field, new, old in _differences(asked, decided):
        if new == "auto":
            continue
        if _is_of(field, may_change) or (field in may_grow and _grows(new, old)):
            changes[field] = new
        elif field in may_grow:
            raise ConfigError(field, f"run {job.name!r} has {old} and this asks for {new}", "it may only be raised")
        else:
            raise ConfigError(
                field,
                f"run {job.name!r} was started with {old!r} and this asks for {new!r}",
                "set it back, or start a new run with another `name`",
            )
    resumed = check_job(apply_overrides(decided, changes))
    check_not_shared(resumed)
    return resumed


def _is_of(field: str, fields: tuple[str, ...]) -> bool:
    """Return whether a field is one of some fields, or lies in one that is a section, as `workers.max` does."""
    return any(field == each or field.startswith(f"{each}.") for each in fields)


def _differences(asked: dict[str, Any], decided: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (field, new, old) for every leaf that differs; a section of kind auto equals any that was resolved for it."""
    if asked.get("kind") == "auto":
        return
    for key in asked.keys() | decided.keys():
        new, old, field = asked.get(key), decided.get(key), f"{path}{key}"
        if isinstance(new, dict) and isinstance(old, dict):
            yield from _differences(new, old, f"{field}.")
        elif new != old:
            yield field, new, old


def _grows(new: float | None, old: float | None) -> bool:
    return new is None or (old is not None and new > old)


def _precision(job: Job) -> str:
    """Ask the kind of machine that will train whether it has bfloat16 in hardware."""
    if job.train.precision != "auto":
        return job.train.precision
    if job.data.modality.kind == "table" and not job.use_gpu:  # small products, which CPUs without AMX are slower at in bfloat16
        return "float32"
    if not job.use_gpu and _is_alone():
        return "bfloat16" if cpu_has_bfloat16() else "float32"
    there = gpu_has_bfloat16 if job.use_gpu else cpu_has_bfloat16
    ask = ray.remote(num_cpus=0, num_gpus=job.resources.gpus_per_worker if job.use_gpu else 0)(there)
    (has_bfloat16,) = results_of([ask.remote()], "asking a machine for its precisions")
    return "bfloat16" if has_bfloat16 else "float32"


def _is_alone() -> bool:
    """Return whether the cluster is this machine, which can answer for itself, sooner than a process that is still to be started."""
    alive = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    return alive == [ray.get_runtime_context().get_node_id()]


def gpu_has_bfloat16() -> bool:
    """Return whether this process's GPU multiplies bfloat16 in hardware. Raises `ConfigError` if torch cannot use it."""
    import torch

    if not torch.cuda.is_available():
        raise unusable(f"torch {torch.__version__} of the node that has it reaches no GPU")
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def cpu_has_bfloat16() -> bool:
    """Return whether this machine's CPU multiplies bfloat16 in hardware."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _mode(job: Job, card: DatasetCard) -> str:
    if job.data.mode != "auto":
        return job.data.mode
    megabytes = card.count * card.sample_type.num_bytes / 1e6
    stores = [node["Resources"].get("object_store_memory", 0) / 1e6 for node in ray.nodes() if node["Alive"]]
    fits = megabytes <= min(job.data.resident_limit_mb, RESIDENT_SHARE * min(stores))
    return "resident" if fits else "streaming"
