"""Commands of the README and the guide: each is run by a named test or by CI, or needs more machines; no command goes unmentioned."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.config import load_job

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
GUIDE = "\n".join(page.read_text() for page in sorted((REPOSITORY / "docs").glob("*.md")))
MORE_MACHINES = "needs a cluster of machines, and an account that pays for them"
COMMANDS = "tests/e2e/test_commands.py::"
MODELS = "tests/cli/test_models_commands.py::"
SWEEPS = "tests/sweep/test_sweeps.py::"
DRY_RUN = "tests/train/test_dry_run.py::"
RUNS = "tests/cli/test_runs_commands.py::"
TRUST = "tests/registry/test_trust.py::"
SUBMITTED = "tests/e2e/test_places.py::"
KILLED_AND_STOPPED = "test_a_submitted_job_goes_on_after_its_driver_was_killed_and_is_stopped_with_a_checkpoint"
RUN_BY = {  # how a command starts: what runs it
    "make quickstart": ".ci/run",
    "make test": ".ci/run",
    "ganray init": "tests/scaffold/test_train.py::test_the_file_of_init_trains",
    "ganray train birds.yaml": "tests/scaffold/test_train.py::test_the_file_of_init_trains",
    "ganray train jobs/folder.yaml": f"{COMMANDS}test_images_without_classes_are_scored_by_rotations_and_published_by_hand",
    "ganray train jobs/moving.yaml": "tests/e2e/test_videos.py::test_videos_are_learned_published_written_and_traced",
    "ganray train jobs/spoken-digits.yaml": "tests/e2e/test_sounds.py::test_sounds_are_learned_published_written_and_traced",
    "ganray train jobs/adult.yaml": "tests/e2e/test_tables.py::test_a_table_is_learned_scored_and_completed",
    "ganray train jobs/fashion-mnist.yaml networks.width=32": f"{COMMANDS}test_train_prints_its_result_as_json",
    "ganray train jobs/fashion-mnist.yaml --dry-run": f"{DRY_RUN}test_a_dry_run_prints_the_plan_and_writes_nothing",
    "ganray train jobs/fashion-mnist.yaml track=[tensorboard]": f"{COMMANDS}test_tensorboard_was_told_of_the_training",
    "ganray track": "tests/track/test_process.py::test_the_command_tells_trackers_of_a_finished_run",
    "ganray train jobs/fashion-mnist.yaml --address": f"{COMMANDS}test_train_prints_its_result_as_json",
    "ganray config jobs/fashion-mnist.yaml --fields": "tests/repository/test_readme.py::test_config_describes_every_field",
    "ganray runs list": f"{RUNS}test_list_shows_status_progress_and_score",
    "ganray runs show": f"{RUNS}test_show_describes_one_run",
    "ganray runs compare": f"{RUNS}test_compare_puts_runs_side_by_side",
    "ganray runs watch": f"{RUNS}test_watch_follows_until_the_driver_ends",
    "ganray sweep jobs/fashion-mnist-sweep.yaml": f"{SWEEPS}test_the_job_files_work_as_they_are",
    "ganray sweep jobs/fashion-mnist-pbt.yaml": f"{SWEEPS}test_the_job_files_work_as_they_are",
    "ganray submit": f"{SUBMITTED}test_a_submitted_sweep_searches_and_publishes",
    "ganray jobs list": f"{SUBMITTED}{KILLED_AND_STOPPED}",
    "ganray jobs logs": f"{SUBMITTED}{KILLED_AND_STOPPED}",
    "ganray jobs stop": f"{SUBMITTED}{KILLED_AND_STOPPED}",
    "ganray report quickstart": "tests/report/test_run_page.py::test_the_page_is_self_contained_and_has_every_section",
    "ganray report quickstart birds": "tests/report/test_comparison_page.py::test_runs_share_their_charts_and_differences_are_named",
    "ganray report fashion-mnist-sweep": f"{SWEEPS}test_a_report_of_a_real_sweep_has_its_finalists",
    "ray up": MORE_MACHINES,
    "ganray publish": f"{COMMANDS}test_publishing_again_by_hand_gives_the_same_version",
    "ganray models list": f"{COMMANDS}test_models_list_shows_versions_and_marks_the_best",
    "ganray models show": f"{MODELS}test_show_prints_a_version_and_the_history",
    "ganray models best": f"{MODELS}test_best_prints_a_uri_that_loads",
    "ganray models promote": f"{MODELS}test_promote_and_rollback_move_the_best_and_record_why",
    "ganray models rollback": f"{MODELS}test_promote_and_rollback_move_the_best_and_record_why",
    "ganray models delete": f"{MODELS}test_a_deleted_version_is_listed_no_more",
    "ganray models verify": f"{MODELS}test_verify_names_the_file_that_is_damaged",
    "ganray models pull": f"{MODELS}test_what_is_pulled_is_found_again_offline",
    "ganray models push": f"{MODELS}test_push_makes_a_version_elsewhere",
    "ganray directions": f"{COMMANDS}test_directions_are_found_in_what_was_trained",
    "ganray export": "tests/export/test_export.py::test_the_command_prints_file_and_difference",
    "ganray serve": "tests/serve/test_server.py::test_a_promotion_under_load_drops_nothing_and_the_page_shows_samples",
    "ganray models gc": f"{MODELS}test_gc_lists_garbage_and_removes_it_with_yes",
    "ganray score": "tests/train/test_score_folder.py::test_images_are_scored_as_generators_are",
    "ganray provenance": f"{MODELS}test_provenance_of_a_grid_names_its_version",
    "openssl genpkey": f"{TRUST}test_what_is_signed_loads_with_its_key_alone",
    "openssl pkey": f"{TRUST}test_what_is_signed_loads_with_its_key_alone",
    "ganray generate": f"{COMMANDS}test_a_grid_shows_the_samples_and_another_seed_shows_others",
}


def shell_commands(text: str) -> list[list[str]]:
    """Return the commands of a text's ```sh blocks as words, without comments."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def prefix_of(words: list[str]) -> str | None:
    """Return the longest entry of the table that a command starts with."""
    starts = [prefix for prefix in RUN_BY if words[: len(prefix.split())] == prefix.split()]
    return max(starts, key=len, default=None)


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command below a group, by the words that call it."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, (*path, name))
    else:
        yield path, command


SHELL = shell_commands(README)
LEAVES = list(leaves(group))


@pytest.mark.parametrize("words", SHELL, ids=" ".join)
def test_a_command_of_the_readme_is_run_by_something(words: list[str]) -> None:
    assert prefix_of(words), "say in RUN_BY which test runs it"


def test_what_runs_commands_is_named_only_for_commands_that_are_there() -> None:
    assert {prefix_of(words) for words in [*SHELL, *shell_commands(GUIDE)]} - {None} == set(RUN_BY)


@pytest.mark.parametrize("prefix", [prefix for prefix, by in RUN_BY.items() if "::" in by])
def test_a_test_that_is_named_exists_and_its_file_runs_the_command(prefix: str) -> None:
    file, _, name = RUN_BY[prefix].partition("::")
    source = (REPOSITORY / file).read_text()
    assert name in {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    helpers = re.findall(r"^from (tests\.helpers\.\w+) import", source, re.MULTILINE)
    texts = [source, *((REPOSITORY / f"{helper.replace('.', '/')}.py").read_text() for helper in helpers)]
    verb = [word for word in prefix.split() if not re.search(r"[/=]|^--", word)][-1]
    assert any(f'"{verb}"' in text for text in texts)


@pytest.mark.parametrize("prefix", [prefix for prefix, by in RUN_BY.items() if by == ".ci/run"])
def test_what_ci_runs_it_does_run_and_make_can(prefix: str) -> None:
    assert re.search(rf"^{prefix}\b", (REPOSITORY / ".ci/run").read_text(), re.MULTILINE)
    assert re.search(rf"^{prefix.split()[1]}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("words", [words for words in SHELL if "jobs/" in " ".join(words)], ids=" ".join)
def test_a_job_of_the_readme_can_be_read_as_typed(words: list[str]) -> None:
    (job,) = [word for word in words if word.startswith("jobs/")]
    load_job(REPOSITORY / job, [word for word in words if re.match(r"[a-z_.]+=", word)])


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    named = re.findall(r"`((?:ganray|tests|jobs|docs|benchmarks)/[\w./-]+)`", (REPOSITORY / page).read_text())
    assert named
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def test_files_that_the_architecture_names_in_the_package_exist() -> None:
    text = (REPOSITORY / "docs/architecture.md").read_text()
    named = re.findall(
        r"`([a-z]\w*/(?:[\w/]*\w\.py|[\w/]*/)?)`", text.split("## What a store holds")[0] + text.split("## Where to change what")[1]
    )
    assert len(named) > 20
    assert [
        name for name in named if not any((REPOSITORY / root / name).exists() for root in ("ganray", ".", "ganray/data", "ganray/sweep"))
    ] == []


def test_benchmarks_that_the_readme_names_exist() -> None:
    named = re.findall(r"python -m (benchmarks[.\w]*)", README)
    assert named
    assert all((REPOSITORY / f"{name.replace('.', '/')}.py").exists() for name in named)


def test_the_glossary_holds_at_most_thirty_words() -> None:
    glossary = (REPOSITORY / "docs/architecture.md").read_text().split("## Glossary")[1].split("## ")[0]
    words = [line.split("|")[1].strip() for line in glossary.splitlines() if line.startswith("| ")][1:]
    assert words == sorted(words, key=str.lower)
    assert len(words) <= 30


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_every_command_has_help_and_stands_in_the_readme_or_the_guide(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    assert command.help.endswith(".")
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    assert f"ganray {' '.join(path)}" in README + GUIDE


def test_config_describes_every_field() -> None:
    done = CliRunner().invoke(group, ["config", str(REPOSITORY / "jobs/fashion-mnist.yaml"), "--fields"])
    assert done.exit_code == 0, done.output
    for field in ("optimizer.generator.lr", "train.total_images", "data.source[folder].path"):
        assert f"{field}  (" in done.stdout
