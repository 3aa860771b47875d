"""MLflow: one run of its for a run, found again by a tag; a sweep's trials are nested below the sweep's.

How far a run was sent stands in a tag of MLflow's that is written with the metrics, in one request: so it tells the truth wherever a
driver dies.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from ganray.config import MlflowTracker
from ganray.errors import TrackerError
from ganray.runs.metrics_log import Record
from ganray.track.news import Position, metrics_of
from ganray.track.subject import Subject, hyperparameters, param_names

SETTINGS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "15", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}  # ganray tries again by itself
SETTINGS["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
IDENTITY, SENT, URI, VERSION = "ganray.id", "ganray.sent", "ganray.run", "ganray.version"
PARENT = "mlflow.parentRunId"
MAX_METRICS, MAX_PARAMS, MAX_PARAM = 1000, 100, 500  # of a request, and characters of a param


class Mlflow:
    """A tracking server, or what MLflow takes for one, and an experiment there."""

    def __init__(self, config: MlflowTracker) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        self.client, self.config = MlflowClient(tracking_uri=config.uri), config
        self.experiment: str | None = None
        self.groups: dict[str, str] = {}  # MLflow's ids of sweeps

    def open(self, subject: Subject) -> "MlflowSession":
        """Find or begin the subject's run."""
        self.experiment = self.experiment or self._experiment()
        found = self.client.search_runs([self.experiment], f"tags.`{IDENTITY}` = '{subject.id}'", max_results=1)
        run_id = found[0].info.run_id if found else self._create(subject)
        self.groups[subject.id] = run_id
        session = MlflowSession(self.client, run_id)
        session.write_job(subject)
        return session

    def close(self) -> None:
        """Do nothing: what was sent is there."""

    def _create(self, subject: Subject) -> str:
        tags = {IDENTITY: subject.id, URI: subject.run.uri.partition("?")[0]}
        if subject.group:
            tags[PARENT] = self.groups[subject.group.id]
        return str(self.client.create_run(self.experiment, run_name=subject.name, tags=tags).info.run_id)

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.config.experiment)
        if found is None:
            try:
                return str(self.client.create_experiment(self.config.experiment))
            except MlflowException:  # another run has made it
                found = self.client.get_experiment_by_name(self.config.experiment)
        if found is None or found.lifecycle_stage != "active":
            raise TrackerError(
                "track.experiment", f"MLflow's experiment {self.config.experiment!r} was deleted", "restore it, or name another"
            )
        return str(found.experiment_id)


class MlflowSession:
    """A run of MLflow's."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client, self.run_id = client, run_id
        data = client.get_run(run_id).data
        self.params: dict[str, str] = data.params
        self.position = Position.from_json(json.loads(data.tags[SENT])) if SENT in data.tags else Position()
        client.update_run(run_id, status="RUNNING")

    def write_job(self, subject: Subject) -> None:
        """Write the job as an artifact, and its fields as params; MLflow's params never change, so what a resume has changed stays out."""
        plain = subject.run.job.model_dump(mode="json", exclude_none=True)
        fields = {path: str(value)[:MAX_PARAM] for path, value in param_names(hyperparameters(plain)).items()}
        missing = [Param(path, value) for path, value in fields.items() if path not in self.params]
        for start in range(0, len(missing), MAX_PARAMS):
            self.client.log_batch(self.run_id, params=missing[start : start + MAX_PARAMS])
        self.client.log_text(self.run_id, yaml.safe_dump(plain, sort_keys=False), "job.yaml")

    def log(self, records: list[Record]) -> None:
        """Send the metrics of records by images seen, and with them how far that is."""
        for metrics, position in self._requests(records):
            self.client.log_batch(self.run_id, metrics=metrics, tags=[RunTag(SENT, json.dumps(position.to_json()))])
            self.position = position

    def _requests(self, records: list[Record]) -> Iterator[tuple[list[Metric], Position]]:
        """Yield as many records' metrics as fit in a request, and the position after them."""
        metrics, position = list[Metric](), self.position
        for record in records:
            when = int(record.get("time", time.time()) * 1000)
            values = {**metrics_of(record), "attempt": float(record["attempt"])}
            if len(metrics) + len(values) > MAX_METRICS:
                yield metrics, position
                metrics = []
            metrics += [Metric(name, value, when, record["images_seen"]) for name, value in values.items()]
            position = position.after(record)
        yield metrics, position

    def log_samples(self, images_seen: int, png: bytes) -> None:
        """Send a grid of samples as an artifact; one that was sent before is replaced."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{images_seen:012d}.png")
            path.write_bytes(png)
            self.client.log_artifact(self.run_id, str(path), "samples")
        self._settle(self.position.after_samples(images_seen))

    def log_version(self, version: str) -> None:
        """Send a version's URI as a tag."""
        self.client.set_tag(self.run_id, VERSION, version)
        self._settle(self.position.after_version(version))

    def flush(self) -> None:
        """Do nothing: what was sent is there."""

    def close(self) -> None:
        """Mark the run as finished, until it goes on."""
        self.client.set_terminated(self.run_id, "FINISHED")

    def _settle(self, position: Position) -> None:
        self.client.set_tag(self.run_id, SENT, json.dumps(position.to_json()))
        self.position = position
