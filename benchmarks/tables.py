"""Tables at equal wall-clock time: the recipe of jobs/adult.yaml against a plain WGAN-GP perceptron, and SMOTE, on Adult.

Both train in this process, interleaved every few seconds, so that load on a shared machine affects both, on two threads. What they
make is scored on the 16,281 test rows that nothing was trained on. SMOTE is the baseline that wins utility and fails privacy.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.adult import load_adult
from benchmarks.interleave import interleave
from benchmarks.table_baselines import PlainTable, smote
from ganray.config import Job, TableNetworks, load_job
from ganray.config.modalities import TableModality
from ganray.config.schedules import decide_schedules
from ganray.data.loading.order import rows
from ganray.gan.batch import Batch, draw_inputs, num_uniforms
from ganray.gan.layouts.table import TableLayout, given_columns
from ganray.gan.prior import Prior
from ganray.gan.random_streams import RandomStream
from ganray.gan.sampling import num_chunks, sample_chunk
from ganray.gan.state import calibrated_ema, create_state
from ganray.gan.step import AdversarialStep, Recipe, recipe_of
from ganray.metrics.tables.distance import closest_distances
from ganray.metrics.tables.marginals import column_shapes, pair_trends
from ganray.metrics.tables.score import TableReference, values_of
from ganray.metrics.tables.values import Values, take
from ganray.modalities.table.codec import TableCodec
from ganray.modalities.table.column import Codes
from ganray.modalities.table.encoding import encoding_of
from ganray.modalities.table.fitting import TableFitting

REPOSITORY = Path(__file__).parents[1]
TARGET = "income"
GIVEN = ((TARGET, ">50K"), (TARGET, "<=50K"), ("relationship", "Husband"), ("education", "Doctorate"))
SCORES = ("tstr", "shapes", "pairs", "closest_record", "two_sample")


class GanrayTable:
    """The training loop of a run with one worker, without Ray, on encoded rows in memory."""

    name = "ganray"

    def __init__(self, codec: TableCodec, codes: Codes, job: Job) -> None:
        assert isinstance(job.networks, TableNetworks)
        self.codec, self.codes, self.job, self.networks = codec, torch.from_numpy(codes.astype(np.int32)), job, job.networks
        self.layout, self.prior = TableLayout(encoding_of(codec.columns)), Prior(job.networks.latent_dim)
        device = torch.device("cpu")
        self.state = create_state(job.networks, self.layout.shape, seed=job.seed, device=device, encoding=self.layout.encoding)
        self.training = AdversarialStep(self.state, self._recipe(job.train.total_images))

    def set_progress(self, done: float) -> None:
        """Extrapolate the run's length from the rate so far, so that schedules end with it."""
        self.training.recipe = self._recipe(max(round(self.state.images_seen / done), 1))

    def _recipe(self, total_images: int) -> Recipe:
        return recipe_of(Job.model_validate(decide_schedules(self.job.model_dump(mode="json"), total_images)), torch.float32)

    def step(self) -> None:
        """Train on the next batch, of which some columns are given in some rows."""
        job, seen, size = self.job, self.state.images_seen, self.job.train.batch_size
        chosen = rows(seen, size, count=len(self.codes), seed=job.seed, attempt=0)
        reals = self.layout.from_samples(self.codes[torch.from_numpy(chosen)])
        uniforms = num_uniforms(job.augment, job.penalties, job.networks)
        latents, numbers = draw_inputs(job.seed, 0, seen, size, latent_dim=self.networks.latent_dim, uniforms=uniforms)
        known = given_columns(RandomStream(job.seed, "given"), seen, size, len(self.codec.columns), share=self.networks.given)
        self.training(Batch(reals, latents, self.layout.conditions(reals, known) if self.networks.given else None, numbers))

    def codes_of(self, number: int, *, given: tuple[int, int] | None = None) -> Codes:
        """Return the codes of samples [number, columns], of rows in which a column has a code where it is `given`."""
        generator = calibrated_ema(self.state, 1, self.prior, seed=self.job.seed)
        conditions = None
        if given is not None:
            codes, known = torch.zeros(2, 1, len(self.codec.columns))
            codes[0, given[0]], known[0, given[0]] = given[1], 1.0
            conditions = self.layout.conditions(self.layout.from_samples(codes), known)
        chunks = [
            sample_chunk(generator, self.prior, self.layout, seed=0, chunk=chunk, given=conditions) for chunk in range(num_chunks(number))
        ]
        return torch.cat(chunks)[:number].numpy().astype(np.uint16)


def main() -> None:
    """Train both, and print a table of scores with the baselines in it, and whether each of the figures to reach is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=360.0, help="training time of each")
    parser.add_argument("--cpu", action="store_true", help="count CPU time over --threads, where others load the machine, too")
    parser.add_argument("--turn", type=float, default=20.0, help="seconds a turn")
    parser.add_argument("--threads", type=int, default=2, help="threads that train")
    parser.add_argument("--only", choices=[GanrayTable.name, PlainTable.name], help="train just one of them")
    parser.add_argument("--out", type=Path, help="a .png of ganray's rows")
    parser.add_argument("overrides", nargs="*", help="changes to the job, as key=value")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    job = load_job(REPOSITORY / "jobs/adult.yaml", ["workers=1", *arguments.overrides])
    train, test = load_adult()
    fitting = TableFitting(TableModality(target=TARGET), train.num_rows)
    codec = fitting.codec([fitting.observe(train.to_struct_array().combine_chunks())])
    codes = codec.encode(train)
    values = values_of(codec, codes)
    reference = TableReference(values, values_of(codec, codec.encode(test)), codec.names.index(TARGET), is_held_out=True)
    both: list[GanrayTable | PlainTable] = [GanrayTable(codec, codes, job), PlainTable(values)]
    contenders = [contender for contender in both if arguments.only in (None, contender.name)]
    clock = (lambda: time.process_time() / arguments.threads) if arguments.cpu else time.perf_counter
    spent = interleave(contenders, seconds=arguments.seconds, turn=arguments.turn, clock=clock)
    print(f"AUC of gradient boosting on the test rows, learned from the training rows: {reference.baseline:.4f}")
    floor = [np.mean(compare(values, reference.test)) for compare in (column_shapes, pair_trends)]
    print(f"test rows against training rows: shapes {floor[0]:.4f}, pairs {floor[1]:.4f}")
    print(f"{'':>14}  {'  '.join(f'{name:>14}' for name in SCORES)}  {'distance':>9}")
    show("SMOTE", reference, smote(values, reference.target, train.num_rows))
    for contender, (took, steps) in zip(contenders, spent, strict=True):
        print(f"{contender.name}: {took:.0f} s, {steps} steps ({steps / took:.1f}/s)")
        made = (
            values_of(codec, contender.codes_of(train.num_rows))
            if isinstance(contender, GanrayTable)
            else contender.rows_of(train.num_rows)
        )
        show(contender.name, reference, made)
        if isinstance(contender, GanrayTable):
            show_given(contender, reference)
            if arguments.out:
                arguments.out.write_bytes(codec.preview(contender.codes_of(2000)))


def show(name: str, reference: TableReference, made: Values) -> None:
    """Print a line of scores, and the median distance to the closest training row."""
    scores = reference.scores(made)
    distance = float(closest_distances(reference.train, made).median())
    line = "  ".join(f"{scores[f'metric/{score}']:>14.4f}" for score in SCORES)
    print(f"{name:>14}  {line}  {distance:>9.3f}", flush=True)


def show_given(contender: GanrayTable, reference: TableReference) -> None:
    """Print how near rows of which a column is given are to the reals that have it: on average over columns, and in the worst."""
    for name, text in GIVEN:
        place = contender.codec.names.index(name)
        code = contender.codec.columns[place].code_of(text)
        assert code is not None
        made = values_of(contender.codec, contender.codes_of(4000, given=(place, code)))
        reals = take(reference.test, np.flatnonzero(reference.test[place].values == code))
        shapes = dict(zip(contender.codec.names, column_shapes(reals, made), strict=True))
        worst = min(shapes, key=lambda column: shapes[column])
        print(f"{name}={text} given: shapes {np.mean(list(shapes.values())):.4f}, of {worst} {shapes[worst]:.4f}", flush=True)


if __name__ == "__main__":
    main()
