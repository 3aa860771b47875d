"""Ray Tune's tuner over the trials of a sweep: a fresh one at each start, in a scratch folder, since the journal remembers."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback, TBXLoggerCallback
from ray.tune.progress_reporter import TrialProgressCallback

from ganray.cluster.placement import resource_of_this_node
from ganray.config import Job
from ganray.storage import ObjectStore
from ganray.sweep.tune.schedulers import build_scheduler
from ganray.sweep.tune.search import Search
from ganray.sweep.tune.trainable import TrialTrainable

logger = logging.getLogger(__name__)

SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # no snapshots: `Tuner.restore` is not used
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # trials that may be starting together: how many there are is decided here
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "1000",
    "RAY_AIR_NEW_OUTPUT": "0",
}
RESOURCE = 0.001  # of the node's own, which ties a trial's process to this node: no CPU
MAX_RESTARTS = 10  # of a trial's process, which holds nothing
EXPERIMENT = "tune"


def build_tuner(job: Job, search: Search, queue: Any, scratch: str) -> tune.Tuner:
    """Return the tuner, with Tune's own searcher, scheduler and loggers by the job's configuration."""
    os.environ.update(SETTINGS)
    for noisy in ("ray.tune", "ray.train", "ray.air"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    sweep: Any = job.required_sweep
    trainable = tune.with_parameters(TrialTrainable, queue=queue, sweep=sweep, rungs=search.trials.rungs)
    tuned: dict[str, Any] = {"search_alg": search, "scheduler": build_scheduler(job, search)}
    return tune.Tuner(
        tune.with_resources(trainable, {resource_of_this_node(): RESOURCE}),
        tune_config=tune.TuneConfig(metric=sweep.metric, mode=sweep.direction, num_samples=-1, reuse_actors=True, **tuned),
        run_config=tune.RunConfig(
            name=EXPERIMENT,
            storage_path=scratch,
            verbose=0,
            callbacks=[ReportCallback(search), *loggers(job)],
            failure_config=tune.FailureConfig(max_failures=MAX_RESTARTS),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),  # so events keep their order
        ),
    )


class ReportCallback(TrialProgressCallback):
    """Writes down each report once searcher and scheduler have met it, in place of Tune's own lines: the sweep has its reporter."""

    def __init__(self, search: Search) -> None:
        super().__init__()
        self.search = search

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        """Take in a trial's report, but for one that tells that the sweep has stopped."""
        if not result.get("interrupted"):
            with self.search.guarded():
                self.search.report(int(trial.trial_id))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Log that a trial's process died."""
        logger.warning("trial %s: its process in Ray Tune died; Tune starts another", trial.trial_id)

    def _print(self, msg: str) -> None:
        """Print nothing."""


def loggers(job: Job) -> Iterator[tune.Callback]:
    """Yield Tune's loggers that a sweep asks for."""
    kinds: dict[str, Any] = {"tensorboard": TBXLoggerCallback, "csv": CSVLoggerCallback, "json": JsonLoggerCallback}
    for name in job.required_sweep.callbacks:
        if name == "mlflow":
            from ray.air.integrations.mlflow import MLflowLoggerCallback

            yield MLflowLoggerCallback(experiment_name=job.name, log_params_on_trial_end=True)  # params of a population change
        else:
            callback = kinds[name]()
            callback._restore_from_remote = lambda file_name, trial: None  # or rows are lost at each pause
            yield callback


def keep_logs(scratch: str, store: ObjectStore) -> None:
    """Copy what Tune's loggers wrote to the sweep's store, in place of the files of an earlier start: a replay logs everything again."""
    root = Path(scratch, EXPERIMENT)
    for path in sorted(root.rglob("*")):
        if path.is_file() and (path.name in ("progress.csv", "result.json", "params.json") or path.name.startswith("events.out")):
            store.upload(path, f"{EXPERIMENT}/{path.relative_to(root)}")
