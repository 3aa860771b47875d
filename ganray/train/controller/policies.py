"""Ray Train's controller with policies of ganray's: mistakes of the user are final, and elastic runs take the workers that fit.

Ray's own elastic policy counts what nodes have in all, used or not, up to a minute late; this one counts what can be placed now.
"""

import time
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.train import ControllerError, FailureConfig, Result
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.constants import get_env_vars_to_propagate
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError
from ray.train.v2._internal.execution.callback import ControllerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy, FailureDecision
from ray.train.v2._internal.execution.scaling_policy import NoopDecision, ResizeDecision, ScalingDecision, ScalingPolicy
from ray.train.v2._internal.execution.worker_group.poll import _is_preempted_actor
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from ganray.cluster.errors import unwrap
from ganray.cluster.placement import count_placeable, on_this_node, usable_nodes
from ganray.config import Job
from ganray.config.training import Workers, useful_workers

NO_WARNING = {"RAY_WARN_BLOCKING_GET_INSIDE_ASYNC": "0"}  # of `ray.get` in the controller, as in Ray's own trainer
PATIENCE_S = 2.0  # that a count waits for places; Ray places a group within 0.1 s where there is room
PAUSE_S = 0.5  # between counts while there is no room for the fewest workers


class MistakesAreFinal(DefaultFailurePolicy):
    """Retries as `FailureConfig` says, unless a worker met a `GanrayError` that no other try can mend.

    `progress_actor`, if given, hears of each failure.
    """

    def __init__(self, failure_config: Any, progress_actor: Any = None) -> None:
        super().__init__(failure_config)
        self.progress_actor = progress_actor

    def make_decision(self, training_failed_error: Any) -> FailureDecision:
        """Return whether the workers are started again."""
        if self.progress_actor is not None:
            self.progress_actor.lose.remote(describe_failure(training_failed_error), time.time())
        error = unwrap(training_failed_error)
        if error and not error.is_transient:
            return FailureDecision.RAISE
        return super().make_decision(training_failed_error)


def describe_failure(failure: Any) -> str:
    """Return what failed in one line: which workers died or did not answer, else the first error."""
    by_rank: dict[int, BaseException] = getattr(failure, "worker_failures", {})
    died = [rank for rank, error in by_rank.items() if isinstance(error, WorkerHealthCheckFailedError | RayActorError)]
    silent = [rank for rank, error in by_rank.items() if isinstance(error, WorkerHealthCheckTimeoutError)]
    for ranks, what in ((silent, "did not answer any more"), (died, "died")):
        if ranks:
            preempted = ", preempted with its node" if any(_is_preempted_actor(by_rank[rank]) for rank in ranks) else ""  # type: ignore[arg-type]
            return f"{'rank' if len(ranks) == 1 else 'ranks'} {', '.join(map(str, sorted(ranks)))} {what}{preempted}"
    rank, error = next(iter(by_rank.items()), (None, failure))
    lines = str(unwrap(error) or error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if rank is None else f"rank {rank} failed: {lines[-1]}"


def scaling_policy(job: Job, scaling: Any) -> ScalingPolicy | None:
    """Return how many workers are started; None: Ray's own policy, from which Ray Data learns what the workers leave to a stream."""
    if isinstance(job.workers, Workers):
        return AsManyAsFit(scaling, job.workers, batch_size=job.train.batch_size, ghost_batch=job.networks.ghost_batch)
    return AllAtOnce(scaling) if job.data.mode == "resident" else None


class AllAtOnce(ScalingPolicy):
    """Starts the workers of a fixed number. The autoscaler learns from the places that they wait for what is missing.

    Ray's own policy tells it through an actor besides, for whose process each run would wait.
    """

    def after_controller_start(self, train_run_context: Any) -> None:
        """Ask for nothing in advance."""

    def make_decision_for_non_running_worker_group(self) -> ScalingDecision:
        """Return the job's number."""
        return ResizeDecision(self._get_num_workers_for_resource_request(), self.scaling_config._resources_per_worker_not_none)

    def make_decision_for_running_worker_group(self, worker_group_state: Any, worker_group_status: Any) -> ScalingDecision:
        """Leave the workers as they are."""
        return NoopDecision()

    def _get_num_workers_for_resource_request(self) -> int:
        number: Any = self.scaling_config.num_workers
        return int(number)


class AsManyAsFit(ScalingPolicy):
    """Starts as many workers as can be placed at the moment, from the fewest on, and asks the autoscaler for the most."""

    def __init__(self, scaling_config: Any, workers: Workers, *, batch_size: int, ghost_batch: int) -> None:
        super().__init__(scaling_config)
        self.workers, self.batch_size, self.ghost_batch = workers, batch_size, ghost_batch
        self.nodes: list[str] = []  # of the workers that were last seen

    def make_decision_for_non_running_worker_group(self) -> ScalingDecision:
        """Return how many workers to start. Those of before are ended only afterwards: their places come free, where the node lives."""
        self._maybe_send_resource_request()  # type: ignore[no-untyped-call]
        worker: dict[str, float] = self.scaling_config._resources_per_worker_not_none
        own = self._count_own_places()
        fitting = own + count_placeable(worker, self.workers.max - own, patience_s=PATIENCE_S)
        if fitting < self.workers.min:
            time.sleep(PAUSE_S)  # the controller would call again at once
            return NoopDecision()
        self.nodes = []
        useful = useful_workers(fitting, batch_size=self.batch_size, ghost_batch=self.ghost_batch)
        return ResizeDecision(num_workers=max(useful, self.workers.min), resources_per_worker=worker)

    def make_decision_for_running_worker_group(self, worker_group_state: Any, worker_group_status: Any) -> ScalingDecision:
        """Leave the workers as they are: the driver watches for room, and asks them to checkpoint before they end."""
        self._maybe_send_resource_request()  # type: ignore[no-untyped-call]
        self.nodes = [worker.metadata.node_id for worker in worker_group_state.workers]
        return NoopDecision()

    def _get_num_workers_for_resource_request(self) -> int:
        return self.workers.max

    def _count_own_places(self) -> int:
        usable = usable_nodes(set(self.nodes))
        return sum(node in usable for node in self.nodes)


class Trainer(DataParallelTrainer):
    """Ray's trainer with these policies, which its public interface does not take.

    Without two of its actors, whose processes each start of workers would wait for. One outlives controllers that died, for ever, to remove
    their placement groups: Ray does so when a driver dies, and `remove_orphaned_placement_groups` when a controller does. The other
    divides the datasets among workers, where there are none.
    """

    def __init__(
        self,
        *arguments: Any,
        scaling_policy: ScalingPolicy | None = None,
        limits: ControllerCallback | None = None,
        progress_actor: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.scaling_policy, self.limits, self.progress_actor = scaling_policy, limits, progress_actor  # None: Ray's own
        self.controller: Any = None  # its actor, while there is one

    def _initialize_and_run_controller(self, **settings: Any) -> Result:
        assert {"failure_policy", "scaling_policy", "callbacks"} <= settings.keys(), "Ray Train takes its policies otherwise"
        failures: Any = self.run_config.failure_config or FailureConfig()
        policies: dict[str, Any] = {"failure_policy": MistakesAreFinal(failures, self.progress_actor)}
        if self.scaling_policy:
            policies["scaling_policy"] = self.scaling_policy
        left_out: tuple[type, ...] = (
            (PlacementGroupCleanerCallback,) if self.datasets else (PlacementGroupCleanerCallback, DatasetsCallback)
        )
        policies["callbacks"] = [each for each in settings["callbacks"] if not isinstance(each, tuple(left_out))]
        policies["callbacks"] += [self.limits] if self.limits else []
        return self._run_controller({**settings, **policies})

    def _run_controller(self, settings: Mapping[str, Any]) -> Result:
        """Run Ray Train's controller on this node, as Ray's trainer does, which would not tell its actor."""
        environment = {"env_vars": NO_WARNING | get_env_vars_to_propagate()}
        actor: Any = ray.remote(num_cpus=0)(TrainController)
        self.controller = actor.options(scheduling_strategy=on_this_node(), runtime_env=environment).remote(**settings)
        try:
            ray.get(self.controller.run.remote())
            result: Result = ray.get(self.controller.get_result.remote())
            return result
        except ControllerError:
            ray.kill(self.controller)  # the places of its workers, which it may not have given back, are orphaned by that
            raise
        finally:
            self.controller = None
