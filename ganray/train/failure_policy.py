"""Ray Train's failure policy, but that a mistake of the user ends training at once: workers that start again would only meet it again."""

from typing import Any

from ray.train import FailureConfig, Result
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy, FailureDecision

from ganray.cluster.errors import unwrap


class MistakesAreFinal(DefaultFailurePolicy):
    """Retries as `FailureConfig` says, unless a worker met a `GanrayError` that no other try can mend."""

    def make_decision(self, training_failed_error: Any) -> FailureDecision:
        """Return whether the workers are started again."""
        error = unwrap(training_failed_error)
        if error and not error.is_transient:
            return FailureDecision.RAISE
        return super().make_decision(training_failed_error)


class Trainer(TorchTrainer):
    """Ray's trainer with this policy, which its public interface does not take."""

    def _initialize_and_run_controller(self, **settings: Any) -> Result:
        assert "failure_policy" in settings, "Ray Train takes its failure policy otherwise"
        failures: Any = self.run_config.failure_config or FailureConfig()
        trainer: Any = super()  # annotated as Ray Train's first version, which has no such method
        result: Result = trainer._initialize_and_run_controller(**{**settings, "failure_policy": MistakesAreFinal(failures)})
        return result
