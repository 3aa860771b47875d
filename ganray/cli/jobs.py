"""`ganray submit` and `ganray jobs`: jobs of a Ray cluster that run a job of ganray's, from a machine that is none of its nodes."""

import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganray.cli.listing import print_json, print_rows, print_table
from ganray.cli.options import LocalPath, json_option, with_job
from ganray.config import load_job
from ganray.errors import ClusterError, ConfigError

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

    from ganray.submission.client import Client
    from ganray.submission.submission import Submission

MAX_MESSAGE = 100  # characters of a status message in a listing

server_option = click.option("--address", help="Dashboard or head of a Ray cluster; else RAY_ADDRESS, else http://127.0.0.1:8265.")
id_argument = click.argument("job_id", metavar="ID")


@click.command("submit")
@with_job
@server_option
@click.option("--follow/--detach", default=True, help="Print the job's log and exit as it does (the default), or leave it alone.")
@click.option("--env", "names", multiple=True, metavar="NAME", help="Pass a variable of this environment, as a credential of S3.")
@click.option("--include", multiple=True, type=LocalPath(), help="Take a file or folder along, but for what .gitignore leaves out.")
@click.option("--dry-run", is_flag=True, help="Print what would be submitted, and ask no cluster.")
@click.option("--kubernetes", is_flag=True, help="With --dry-run: print a RayJob of KubeRay, for `kubectl apply -f -`.")
@click.option("--image", help="The image of its pods, which has ganray.")
@json_option
def submit_command(
    job: str,
    overrides: tuple[str, ...],
    address: str | None,
    follow: bool,
    names: tuple[str, ...],
    include: tuple[Path, ...],
    dry_run: bool,
    kubernetes: bool,
    image: str | None,
    as_json: bool,
) -> None:
    """Train JOB on a Ray cluster, or search if it has a `sweep` section. The same command again follows it, or resumes."""
    from ganray.submission.package import build_package
    from ganray.submission.submission import make_submission
    from ganray.submission.variables import kept_back, passed_variables

    checked = load_job(job, overrides)
    if kubernetes:
        _check_kubernetes(dry_run=dry_run, names=names, include=include)
        from ganray.submission.kubernetes import render

        click.echo(render(Path(job), checked, overrides, image=image, variables=passed_variables(checked, [])), nl=False)
        return
    with tempfile.TemporaryDirectory(prefix="ganray-submit-") as folder:
        variables = passed_variables(checked, names)
        package = build_package(Path(job), checked, Path(folder) / "package.zip", include=include)
        submission = make_submission(checked, overrides, package, variables)
        facts = {
            "package": package.describe(),
            "entrypoint": submission.entrypoint,
            "record": submission.run,
            "variables": ", ".join(variables) or "none",
        }
        if kept := kept_back(checked, variables):
            facts["not passed"] = f"{', '.join(kept)}: the cluster's own credentials are used, or name them by --env"
        if dry_run:
            print_rows(facts, as_json=as_json)
        else:
            sys.exit(_submit(submission, facts, address=address, name=checked.name, follows=follow, as_json=as_json))


def _check_kubernetes(*, dry_run: bool, names: tuple[str, ...], include: tuple[Path, ...]) -> None:
    """Raise `ConfigError` for options that a RayJob has no use for."""
    if not dry_run:
        raise ConfigError("--kubernetes", "a RayJob is printed, not applied", "add --dry-run, and pipe it to `kubectl apply -f -`")
    if names:
        raise ConfigError("--env", "a RayJob takes no values from here", "put them into the secret ganray-storage, which its pods read")
    if include:
        raise ConfigError("--include", "a RayJob takes no files along", "put them into the image, or on s3://")


def _submit(submission: "Submission", facts: dict[str, Any], *, address: str | None, name: str, follows: bool, as_json: bool) -> int:
    """Submit a job, or find it running; return the exit code, that of the job if it is followed."""
    from ganray.submission.client import connect
    from ganray.submission.submission import new_id, running_job, submit

    client = connect(address)
    if running := running_job(client, submission):
        facts["note"] = "this job runs already, and is not submitted again"
    else:
        running = new_id(name)
        click.echo(f"submitting to {client.url}", err=True)
        submit(client, submission, running)
    facts["job"] = running
    facts["page"] = client.page(running)
    if not (as_json and follows):
        print_rows(facts, as_json=as_json)
    return _drive(client, submission, running, as_json=as_json) if follows else 0


def _drive(client: "Client", submission: "Submission", job_id: str, *, as_json: bool) -> int:
    """Follow a job to its end and return its exit code."""
    from ganray.submission.follow import drive

    try:
        last, details = drive(client, submission, job_id, _writer(to_stderr=as_json))
    except KeyboardInterrupt:
        click.echo(f"job {job_id} goes on: `ganray jobs logs {job_id} --follow` follows it, `ganray jobs stop {job_id}` ends it", err=True)
        raise
    return _end(last, details, as_json=as_json)


def _writer(*, to_stderr: bool) -> Callable[[str], None]:
    """Return a function that prints parts of a log as they come."""
    return lambda text: click.echo(text, nl=False, err=to_stderr)


def _end(job_id: str, details: "JobDetails | None", *, as_json: bool) -> int:
    """Say how a job ended, and return its exit code. Raises `ClusterError` if its command never ran."""
    from ganray.submission.follow import exit_code

    code = exit_code(details)
    if details is None:
        raise ClusterError(job_id, "the cluster does not know this job any more", "the same command goes on, once the cluster is back")
    if as_json:
        print_json(_facts(details) | {"exit_code": code})
    elif code and details.driver_exit_code is None and details.status == "FAILED":
        raise ClusterError(job_id, f"ganray did not start ({' '.join((details.message or '').split())[:400]})", "see the job's page")
    else:
        click.echo(f"job {job_id}: {details.status.lower()}", err=True)
    return code


@click.group("jobs")
def jobs_group() -> None:
    """The jobs that `ganray submit` gave a Ray cluster."""


@jobs_group.command("list")
@server_option
@json_option
def list_command(address: str | None, as_json: bool) -> None:
    """List the jobs of a cluster: id, status, what each does, when it started, and how far it is."""
    from ganray.submission.client import connect
    from ganray.submission.submission import ganray_jobs

    client = connect(address)
    jobs = ganray_jobs(client)
    if as_json:
        print_json([_facts(details) for details in jobs])
    elif jobs:
        print_table(("job", "status", "started", "progress", "record"), [_row(details) for details in jobs])
    else:
        click.echo(f"no jobs of ganray's on {client.url}")


@jobs_group.command("logs")
@id_argument
@server_option
@click.option("--follow", is_flag=True, help="Go on until the job ends, and exit as it does.")
def logs_command(job_id: str, address: str | None, follow: bool) -> None:
    """Print the log of job ID."""
    from ganray.submission.client import connect
    from ganray.submission.follow import follow as follow_job

    client = connect(address)
    _known(client, job_id)
    if follow:
        sys.exit(_end(job_id, follow_job(client, job_id, _writer(to_stderr=False)), as_json=False))
    click.echo(client.get_job_logs(job_id), nl=False)


@jobs_group.command("stop")
@id_argument
@server_option
def stop_command(job_id: str, address: str | None) -> None:
    """Stop job ID: its run writes a checkpoint first, and the same `ganray submit` goes on from there."""
    from ganray.submission.client import connect
    from ganray.submission.follow import stop

    client = connect(address)
    _known(client, job_id)
    details = stop(client, job_id)
    click.echo(f"job {job_id}: {details.status.lower()}")


def _known(client: "Client", job_id: str) -> "JobDetails":
    """Return how a job stands. Raises `ConfigError` for one that the cluster does not know."""
    if (details := client.find(job_id)) is None:
        raise ConfigError("ID", f"{client.url} knows no job {job_id!r}", "see `ganray jobs list`; a new head knows none")
    return details


def _facts(details: "JobDetails") -> dict[str, Any]:
    """Return what is told of a job, as plain data."""
    from ganray.submission.submission import KIND, RUN

    metadata = details.metadata or {}
    facts = {"job": details.submission_id, "status": str(details.status), "command": metadata.get(KIND), "record": metadata.get(RUN)}
    times = {"started": details.start_time, "ended": details.end_time}  # Unix milliseconds
    return facts | {name: at / 1000 if at else None for name, at in times.items()} | {"message": details.message}


def _row(details: "JobDetails") -> tuple[str, ...]:
    """Return a job as a row of a listing."""
    from ganray.submission.submission import RUN

    started = datetime.fromtimestamp(details.start_time / 1000).strftime("%Y-%m-%d %H:%M") if details.start_time else "-"
    message = " ".join((details.message or "").split())
    return str(details.submission_id), details.status.lower(), started, message[:MAX_MESSAGE], (details.metadata or {}).get(RUN, "")
