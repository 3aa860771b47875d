"""What searching is worth, in images: Fashion-MNIST at 16 x 16, one local Ray, every budget in images, medians over seeds.

halving: successive halving with Optuna's estimator against random search with three times the images.
rescue: from rates ten times too high or too low, a sweep against neighbours of the hand-picked recipe, and a population with
exploits against the same one without.
promotion: ASHA that promotes paused trials against Ray Tune's own, which stops them, with as many trials and with as many images.
busy: the share of the time that worker groups train, evaluate or load a checkpoint, once the first trial runs.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import ganray
from ganray.cluster.session import ray_session
from ganray.sweep.result import SweepResult
from ganray.sweep.sweep import run_sweep

REPOSITORY = Path(__file__).parents[1]
GENERATOR, DISCRIMINATOR = "optimizer.generator.lr", "optimizer.discriminator.lr"
HAND_PICKED_RATE = 1e-3  # of both networks, in the plain recipe below, which these sweeps search around
POOR_RATES = {"high": 1e-1, "low": 1e-4}  # ten times above the best for so few images (1e-2), ten times below the hand-picked
SPACE = f"sweep.space={{{GENERATOR}: {{loguniform: [1e-5, 1e-1]}}, {DISCRIMINATOR}: {{loguniform: [1e-5, 1e-1]}}}}"
PLAIN = ["networks.conditional=false", "loss={kind: non-saturating}", "penalties={r1_gamma: 0.0, every: 1}"]
PLAIN += [f"optimizer.{network}={{lr: 1e-3, beta1: 0.5, beta2: 0.999}}" for network in ("generator", "discriminator")]
SMALL = [*PLAIN, "data.resolution=16", "networks.width=16", "networks.ghost_batch=32", "workers=1", "train.max_seconds=null"]
SMALL += ["train.precision=float32", "train.samples_every=1000000", "train.checkpoint_every=1000000", "train.log_every=1280"]
SMALL += ["evaluate.every=1000000", "evaluate.num_samples=2000", "publish.auto=false", "sweep.finalists={num: 1, num_samples: 2000}"]


def search(storage: Path, name: str, images: int, *overrides: str) -> SweepResult:
    """Return a sweep's result; the dataset and what it is compared with are shared by all sweeps of a storage."""
    job = ganray.load_job(
        REPOSITORY / "jobs/quickstart.yaml", [*SMALL, f"name={name}", f"storage={storage}", f"sweep.images={images}", *overrides]
    )
    return run_sweep(job)


def best(result: SweepResult) -> float:
    """Return the winner's second score, which was not chosen for being low."""
    return result.finalists[0].score


def halving(storage: Path, *, images: int, seeds: int) -> None:
    """Print the medians of both searches' best scores."""
    asha = ["sweep.scheduler={kind: asha, reduction: 3}", "sweep.searcher={kind: optuna, startup_trials: 6}", "sweep.trials=18"]
    found: dict[str, list[float]] = {"asha + optuna": [], "random": []}
    spent: dict[str, list[int]] = {"asha + optuna": [], "random": []}
    for seed in range(seeds):
        halved = search(storage, f"halving-{seed}", images, SPACE, *asha, f"sweep.seed={seed}")
        most = 3 * halved.images_seen
        drawn = search(storage, f"random-{seed}", images, SPACE, f"sweep.seed={seed + 1000}", f"sweep.trials={most // images}")
        for name, result in (("asha + optuna", halved), ("random", drawn)):
            found[name].append(best(result))
            spent[name].append(result.images_seen)
            print(f"seed {seed}: {name}: frechet {best(result):.3f} with {result.images_seen:,} images", flush=True)
    medians = {name: statistics.median(scores) for name, scores in found.items()}
    ratio = sum(spent["asha + optuna"]) / sum(spent["random"])
    print(f"halving: frechet, asha + optuna / random: {medians['asha + optuna'] / medians['random']:.3f} with {ratio:.2f} of the images")


def rescue(storage: Path, *, images: int, seeds: int) -> None:
    """Print what is made of rates that are ten times off, by a sweep and by a population."""
    for which, rate in POOR_RATES.items():
        for what, ratio in (
            ("sweep / neighbours of the hand-picked", _sweep_from_poor),
            ("with / without exploits", _population_from_poor),
        ):
            ratios = [ratio(storage, images, rate, seed) for seed in range(seeds)]
            print(f"rescue from rates that are too {which}: frechet, {what}: {statistics.median(ratios):.3f}", flush=True)


def _sweep_from_poor(storage: Path, images: int, poor: float, seed: int) -> float:
    """Return the ratio of a sweep's score to that of the hand-picked recipe's neighbours, for as many images."""
    tag = f"{poor:g}-{seed}"
    start = f"sweep.start_from=[{{{GENERATOR}: {poor}, {DISCRIMINATOR}: {poor}}}]"
    asha = ["sweep.scheduler={kind: asha, reduction: 3}", "sweep.searcher={kind: optuna, startup_trials: 6}", "sweep.trials=18"]
    swept = search(storage, f"poor-{tag}", images, SPACE, start, *asha, f"sweep.seed={seed}")
    near = f"loguniform: [{HAND_PICKED_RATE / 1.5}, {HAND_PICKED_RATE * 1.5}]"
    neighbours = f"sweep.space={{{GENERATOR}: {{{near}}}, {DISCRIMINATOR}: {{{near}}}}}"
    trials = max(swept.images_seen // images, 1)
    beside = search(storage, f"beside-{tag}", images, neighbours, f"sweep.trials={trials}", f"sweep.seed={seed}")
    print(f"  sweep {best(swept):.3f}, neighbours {best(beside):.3f}; {swept.images_seen:,} and {beside.images_seen:,} images", flush=True)
    return best(swept) / best(beside)


def _population_from_poor(storage: Path, images: int, poor: float, seed: int) -> float:
    """Return the ratio of a population's best score to that of the same members without exploits."""
    rates = [poor * share / 100 for share in range(100, 60, -5)]
    start = ", ".join(f"{{{GENERATOR}: {rate}, {DISCRIMINATOR}: {rate}}}" for rate in rates)
    common = [SPACE, f"sweep.start_from=[{start}]", f"sweep.trials={len(rates)}", f"sweep.seed={seed}", f"seed={seed}"]
    pbt = f"sweep.scheduler={{kind: pbt, every: {images // 12}, quantile: 0.5, resample: 0.25, factors: [0.5, 2.0]}}"
    tag = f"{poor:g}-{seed}"
    exploited = search(storage, f"pbt-{tag}", images, *common, pbt)
    alone = search(storage, f"alone-{tag}", images, *common)
    print(f"  with exploits {best(exploited):.3f}, without {best(alone):.3f}, {alone.images_seen:,} images each", flush=True)
    return best(exploited) / best(alone)


def promotion(storage: Path, *, images: int, seeds: int) -> None:
    """Print the medians of both kinds of halving, where Tune's has as many trials, and where it may spend as many images."""
    found: dict[str, list[float]] = {"promote": [], "stop": [], "stop, same images": []}
    spent: dict[str, list[int]] = {name: [] for name in found}
    for seed in range(seeds):
        limit: list[str] = []
        for name in found:
            asha = f"sweep.scheduler={{kind: asha, reduction: 3, promote: {str(name == 'promote').lower()}}}"
            trials = 54 if limit and name == "stop, same images" else 18
            searcher = ["sweep.searcher={kind: optuna, startup_trials: 6}", f"sweep.trials={trials}", f"sweep.seed={seed}"]
            tag = f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
            result = search(storage, tag, images, SPACE, asha, *searcher, *(limit if name == "stop, same images" else []))
            if name == "promote":
                limit = [f"sweep.max_images={result.images_seen}"]
            found[name].append(best(result))
            spent[name].append(result.images_seen)
            print(f"seed {seed}: {name}: frechet {best(result):.3f} with {result.images_seen:,} images", flush=True)
    for name in ("stop", "stop, same images"):
        ratio = statistics.median(found["promote"]) / statistics.median(found[name])
        print(f"promotion: frechet, promote / {name}: {ratio:.3f} with {sum(spent['promote']) / sum(spent[name]):.2f} of the images")


def busy(storage: Path, *, images: int) -> None:
    """Print the share of the time that two worker groups are busy, for four trials of a given length."""
    real = ["data.resolution=32", "networks.width=48", "train.log_every=2000", f"sweep.space={{{GENERATOR}: {{loguniform: [5e-4, 2e-3]}}}}"]
    result = search(storage, "busy", images, *real, "sweep.trials=4", "sweep.max_concurrent=2")
    trials = result.trials
    duration = max(trial.ended or 0.0 for trial in trials) - min(trial.started or 0.0 for trial in trials)
    took = [trial.busy_s for trial in trials]
    print(f"busy: {sum(took) / (2 * duration):.3f} of {duration:.0f} s; trials took {', '.join(f'{seconds:.0f}' for seconds in took)} s")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", default=list(BENCHMARKS), help=", ".join(BENCHMARKS))
    parser.add_argument("--images", type=int, default=57_600, help="budget of a trial in halving, rescue and promotion")
    parser.add_argument("--busy-images", type=int, default=90_000, help="budget of a trial in busy: about 180 s on two cores")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.which:
        settings = {"images": arguments.busy_images} if name == "busy" else {"images": arguments.images, "seeds": arguments.seeds}
        with tempfile.TemporaryDirectory() as folder, ray_session("local"):
            BENCHMARKS[name](Path(folder), **settings)


BENCHMARKS: dict[str, Callable[..., None]] = {"halving": halving, "rescue": rescue, "promotion": promotion, "busy": busy}


if __name__ == "__main__":
    main()
