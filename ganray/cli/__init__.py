"""The command line: a click group whose commands parse, call one function and print. Imports torch and ray only inside commands."""

import atexit
import gc
import sys

import click

from ganray.cli.artifacts import export_command, pull_command, push_command, verify_command
from ganray.cli.data import fit_extractor_command, init_command, prepare_command, score_command
from ganray.cli.display import print_error, set_up_logs
from ganray.cli.generators import directions_command, generate_command, provenance_command, publish_command
from ganray.cli.jobs import jobs_group, submit_command
from ganray.cli.models import models_group
from ganray.cli.report import report_command
from ganray.cli.runs import config_command, runs_group, train_command
from ganray.cli.serving import serve_command
from ganray.cli.sweeps import sweep_command
from ganray.cli.track import track_command
from ganray.cluster.signals import interrupt_on_signal
from ganray.config.reading.places import JOBS
from ganray.errors import GanrayError

__all__ = ["group", "main"]

HELP = f"""Train GANs on Ray, publish the best generator, generate from it.

JOB is a YAML job file, as those in {JOBS}. Overrides are dotted paths: train.batch_size=128.
"""
EXIT_CODES = """\b
Exit codes:
  0    done
  1    a defect of ganray, with a traceback
  2    the input: a job file, an option, data, or a published generator
  3    the environment: storage, cluster, or another driver of the run
  4    training diverged or collapsed, with nothing to publish
  130  interrupted by Ctrl-C, SIGTERM or SIGHUP; the same command resumes
"""

COLLECT_EVERY = 50_000  # new objects, instead of 700: imports make very many, none of which is garbage


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, help=HELP, epilog=EXIT_CODES)
@click.version_option(package_name="ganray")
def group() -> None:
    """All commands."""


for command in (
    init_command,
    config_command,
    prepare_command,
    fit_extractor_command,
    score_command,
    train_command,
    runs_group,
    publish_command,
    models_group,
    generate_command,
    directions_command,
    provenance_command,
    export_command,
    serve_command,
    sweep_command,
    report_command,
    track_command,
    submit_command,
    jobs_group,
):
    group.add_command(command)
for command in (verify_command, pull_command, push_command):
    models_group.add_command(command)


def main() -> None:
    """Run the command line: a `GanrayError` or a usage error is one line on standard error, with the exit codes of `EXIT_CODES`."""
    gc.set_threshold(COLLECT_EVERY)
    atexit.register(gc.freeze)  # to look for garbage in torch's modules before the process ends takes half a second
    try:
        set_up_logs()
        with interrupt_on_signal():
            status = group.main(prog_name="ganray", standalone_mode=False)
        sys.exit(status or 0)
    except GanrayError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(_one_line(error), err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)


def _one_line(error: click.ClickException) -> str:
    """Return a usage error of click in the form of other errors; the help that it shows without arguments stays as it is."""
    message, context = error.format_message(), getattr(error, "ctx", None)
    if "\n" in message or context is None:
        return message
    return f"error: {context.command_path}: {message[0].lower()}{message[1:].rstrip('.')}; see `{context.command_path} --help`"
