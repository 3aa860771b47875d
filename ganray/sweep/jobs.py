"""The jobs that a sweep's own stands for: its trials' in common, and its finalists'. A single trial's is in `space.py`."""

from ganray.config import Job, apply_overrides, check_job

OTHER_SEED = 1_000_003  # added to the job's: no evaluation of the sweep used these latents
MORE = 2  # times as many samples as a trial's evaluations


def of_trials(job: Job) -> Job:
    """Return the job with the workers and images of its trials, which decide what it resolves to."""
    sweep = job.sweep
    values = {"workers": sweep.workers, "train.total_images": sweep.images or job.train.total_images}
    return check_job(apply_overrides(job.model_dump(mode="json"), values))


def final_job(job: Job) -> Job:
    """Return a sweep's job as its finalists are scored and published."""
    finalists, evaluate = job.sweep.finalists, job.evaluate
    values = {
        "evaluate.num_samples": finalists.num_samples or MORE * evaluate.num_samples,
        "evaluate.seed": evaluate.seed + OTHER_SEED if finalists.seed is None else finalists.seed,
        "publish.model": job.model_name,
    }
    return check_job(apply_overrides(job.model_dump(mode="json"), values))
