"""Rendering a job as a `RayJob` of KubeRay: `jobs/kubernetes/rayjob.yaml`, filled in with what is the job's."""

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ganray.config import Job
from ganray.config.reading.places import JOBS
from ganray.errors import ConfigError
from ganray.submission.package import places
from ganray.submission.submission import command_of, metadata_of

TEMPLATE = JOBS / "kubernetes/rayjob.yaml"
JOB_PATH = "/etc/ganray/job.yaml"  # where the template mounts it
MAX_NAME = 47  # characters of a RayJob's name that KubeRay allows
GPU = "nvidia.com/gpu"


def render(job_file: Path, job: Job, overrides: Sequence[str], *, image: str | None, variables: Mapping[str, str]) -> str:
    """Return the manifests of a job, as YAML: a ConfigMap with the job file, and a RayJob with a cluster of its own.

    `variables` are those of this environment that go along; credentials are read from the secret `ganray-storage` of the namespace.
    Raises `ConfigError` for places that pods do not share.
    """
    check_places(job)
    config_map, ray_job = yaml.safe_load_all(TEMPLATE.read_text())
    name, spec = kubernetes_name(job.name), ray_job["spec"]
    config_map["metadata"]["name"] = ray_job["metadata"]["name"] = name
    config_map["data"] = {"job.yaml": job_file.read_text()}
    forced = ["use_gpu=true"] if job.use_gpu == "auto" else []  # there is no GPU yet when the run is created
    spec["entrypoint"] = shlex.join(["python", "-m", "ganray", command_of(job), JOB_PATH, *overrides, *forced])
    spec["metadata"] = metadata_of(job)
    head, workers = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"], spec["rayClusterSpec"]["workerGroupSpecs"][0]
    next(volume for volume in head["volumes"] if volume["name"] == "job")["configMap"]["name"] = name
    _fill_workers(workers, job)
    for container in (head["containers"][0], workers["template"]["spec"]["containers"][0]):
        container["image"] = image or container["image"]
        container["env"] += _environment(variables)
    return yaml.dump_all([config_map, ray_job], Dumper=Dumper, sort_keys=False, width=140)


def check_places(job: Job) -> None:
    """Raise `ConfigError` for a storage that pods do not share, and for places relative to a working directory that they have not."""
    if not job.storage.startswith("s3://"):
        raise ConfigError("storage", f"{job.storage!r} is a folder, which pods do not share", "use s3://bucket/prefix")
    for field, place in places(job).items():
        if "://" not in place and not os.path.isabs(place):
            problem = f"{place!r} is a path of this machine, where no pod finds it"
            raise ConfigError(field, problem, "use s3://... or an absolute path in the image or a volume")


def kubernetes_name(name: str) -> str:
    """Return a run's name as the name of an object of Kubernetes: lower-case letters, digits and hyphens, a letter first."""
    text = re.sub(r"[^a-z0-9]+", "-", name)
    return (text if text[0].isalpha() else f"run-{text}")[:MAX_NAME].rstrip("-")


def _fill_workers(group: dict[str, Any], job: Job) -> None:
    """Set how many workers there may be, and what each has: a pod is a worker of the run."""
    group["maxReplicas"] = max(job.sweep.workers, group["maxReplicas"]) if job.sweep else job.max_workers
    resources = group["template"]["spec"]["containers"][0]["resources"]
    cpus = str(max(math.ceil(job.resources.cpus_per_worker), int(resources["limits"]["cpu"])))
    resources["requests"]["cpu"] = resources["limits"]["cpu"] = cpus
    resources["limits"][GPU] = str(math.ceil(job.resources.gpus_per_worker))
    if job.use_gpu is False:
        del resources["limits"][GPU]


def _environment(variables: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in variables.items()]


class Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return that a value which stands in two places is written twice."""
        return True


def _represent_text(dumper: Dumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _represent_text)
