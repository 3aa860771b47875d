"""What happens every so many images: a line of metrics, a score, a grid of samples, a checkpoint. The only caller of `ray.train.report`."""

from typing import Any

import ray.train
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ganray.evaluation.reference import load_reference
from ganray.evaluation.score import is_broken, score_generator
from ganray.gan.distributed import rank
from ganray.gan.sampling import sample_chunk
from ganray.gan.state import GanState, calibrated_ema
from ganray.runs.checkpoint import checkpoint_name
from ganray.runs.rollback import go_back
from ganray.train.context import WorkerContext, fresh_state
from ganray.train.worker.checkpoint_writer import CheckpointWriter
from ganray.train.worker.divergence import Event
from ganray.train.worker.metrics import MetricsLogger


class Milestones:
    """Carries out what the job's cadences ask for. Every rank takes the same decisions, from the images seen."""

    def __init__(self, setup: WorkerContext, state: GanState, ledger: MetricsLogger, progress: dict[str, Any]) -> None:
        self.setup, self.job, self.state, self.ledger = setup, setup.job, state, ledger
        self.returns = progress.get("returns", 0)
        self.best = comparable(progress.get("best"), setup.protocol)
        device = next(state.generator.parameters()).device
        self.extractor = setup.extractor.network().to(device)
        self.reference = load_reference(setup.prepared, setup.reference)
        self.keeper = CheckpointWriter(setup) if rank() == 0 else None

    def pass_by(self, before: int) -> None:
        """Do what fell due between `before` images and those seen now, and what the end of training asks for."""
        train = self.job.train
        cadences = [train.log_every, self.job.evaluate.every, train.samples_every, train.checkpoint_every]
        _, evaluate, samples, checkpoint = due = [self.state.images_seen // every > before // every for every in cadences]
        if self.ledger.ended or any(due):
            self.ledger.log()
        if self.ledger.ended == "diverged":
            self._go_back()
            return
        complete = self.ledger.ended in ("done", "time")
        evaluate, samples = evaluate or complete, samples or complete
        if evaluate or samples or checkpoint or self.ledger.ended:
            self._stop_for(evaluate=evaluate, samples=samples, checkpoint=checkpoint or evaluate or bool(self.ledger.ended))

    def _go_back(self) -> None:
        """Leave the checkpoint that the next attempt starts from; the workers end, and the driver starts them again from there."""
        if rank() == 0:
            self.keeper.drain(self.ledger.records)
            fresh = fresh_state(self.setup, torch.device("cpu")).state_dict()
            back = go_back(self.setup.run, attempt=self.state.attempt, fresh=fresh, max_rollbacks=self.job.divergence.max_rollbacks)
            if not back["ended"]:
                self.ledger.monitor.say(f"going back to {back['images_seen']:,} images for attempt {self.state.attempt + 1}")

    def close(self) -> None:
        """Wait until all is in the store."""
        if self.keeper:
            self.keeper.close()

    def _stop_for(self, *, evaluate: bool, samples: bool, checkpoint: bool) -> None:
        """Interrupt training for a milestone; the time it takes is not training time."""
        generator = self._generator() if evaluate or samples else None
        if evaluate:
            self._score(generator)
        if rank() == 0 and samples:
            self.keeper.samples(self._samples(generator), self.state.images_seen)
        if rank() == 0 and checkpoint:
            self._checkpoint(generator if evaluate else None)
        ray.train.report({"images_seen": self.state.images_seen, **(self.best["scores"] if self.best else {})})
        self.ledger.restart_clock()

    def _generator(self) -> nn.Module:
        return calibrated_ema(self.state, self.job.networks.ghost_batch, self.setup.prior, seed=self.job.seed)

    def _score(self, generator: nn.Module) -> None:
        scores = score_generator(generator, self.setup.prior, self.extractor, self.reference, self.job.evaluate)
        if scores is None:
            return
        if is_broken(generator, scores):
            says = f"at {self.state.images_seen:,} images the generator is broken: samples that are all alike, or no numbers"
            self.ledger.tell([Event("broken generator", says)])
            return
        self.ledger.write("score", {**scores, "protocol": self.setup.protocol})
        self.ledger.judge(scores)
        score = scores[self.setup.protocol["metric"]]
        if self.best is None or score < self.best["score"]:
            name = checkpoint_name(self.state.attempt, self.state.images_seen)
            seen, rules = self.state.images_seen, self.setup.protocol
            self.best = {"score": score, "scores": scores, "protocol": rules, "images_seen": seen, "checkpoint": name}
            self.ledger.monitor.push(best=score)

    def _samples(self, generator: nn.Module) -> Tensor:
        return sample_chunk(generator, self.setup.prior, seed=self.job.evaluate.seed, chunk=0)

    def _checkpoint(self, generator: nn.Module | None) -> None:
        weights = save_tensors({name: tensor.cpu().contiguous() for name, tensor in generator.state_dict().items()}) if generator else None
        ended = self.ledger.ended if self.ledger.ended != "asked" else None
        progress = {"trained_s": self.ledger.trained_s, "best": self.best, "ended": ended, "returns": self.returns}
        self.keeper.checkpoint(self.state, weights, progress, self.ledger.records)
        self.ledger.records.clear()


def comparable(best: dict[str, Any] | None, protocol: dict[str, Any]) -> dict[str, Any] | None:
    """Return the best score of a run so far, unless it was measured by another protocol."""
    return best if best and best["protocol"] == protocol else None
