"""Which test runs a documented command: the longest beginning that fits decides.

A command that no test of ours can run, because what it talks to is not to be had on a machine of
the tests (a container engine, a cluster with nodes, a registry), says why, and names the test that
holds what can be held without: that the files, images, services and objects in it are there.
"""

from __future__ import annotations

from dataclasses import dataclass

LAKE = "documents/test_on_a_lake.py"
CHAMPION = "test_champion.py::test_fits_are_made_put_in_place_and_taken_back"
NAMES = "documents/test_names.py"
INSTALLED = "helm/test_installed.py"
ENGINE = "no container engine here"
CLUSTER = "no cluster with nodes, and no kubectl, here"

# The beginning of a command: the test that runs it, or the function behind it.
RUN = {
    "python -m crypto_pipeline_tests.crash.kills": (
        "crash/test_kills.py::test_after_kills_at_the_seams_every_layer_has_everything_once"
    ),
    "python -m crypto_pipeline_tests.chaos": (
        "chaos/test_chaos.py::test_what_is_harmed_heals_and_nothing_is_lost_or_doubled_or_shown"
    ),
    "python -m crypto_pipeline_tests.fabricated": (
        "fabricated/test_check.py::test_the_command_lays_down_a_lake_and_tells_what_it_is"
    ),
    "python -m crypto_pipeline_tests.fabricated.check": (
        "fabricated/test_check.py::test_a_lake_is_near_to_itself_and_far_from_a_longer_one"
    ),
    # The functions behind them; what they measure takes an idle machine.
    "python -m crypto_pipeline_tests.benchmarks.engines": (
        "benchmarks/test_engines.py::test_both_engines_give_the_same"
    ),
    "python -m crypto_pipeline_tests.benchmarks.growth": (
        "benchmarks/test_growth.py::test_each_size_has_its_seconds_and_bytes_against_bare_appends"
    ),
    "make up": "browser/test_screens.py::test_the_dashboard_fills_and_its_price_moves",
    "make once": f"{LAKE}::test_once_prints_a_balanced_cycle",
    "make clean": "documents/test_make.py::test_clean_removes_what_is_ours_after_a_yes",
    "make help": "documents/test_make.py::test_help_names_every_target",
    # They are what runs this; their recipes are read.
    "make test": "documents/test_make.py::test_a_recipe_runs_what_is_there",
    "make check": "documents/test_make.py::test_a_recipe_runs_what_is_there",
    "make prove": "documents/test_make.py::test_a_recipe_runs_what_is_there",
    "make chaos": "documents/test_make.py::test_a_recipe_runs_what_is_there",
    "make advisories": "documents/test_make.py::test_a_recipe_runs_what_is_there",
    "make bench": "documents/test_make.py::test_a_recipe_runs_what_is_there",
    "crypto-pipeline adopt-topic": f"{LAKE}::test_adopt_topic_changes_nothing_of_the_same_topics",
    "crypto-pipeline audit": f"{LAKE}::test_audit_finds_no_difference",
    "crypto-pipeline backfill": (
        "backfill/test_command.py::test_a_backfill_goes_on_after_a_kill_and_doubles_nothing"
    ),
    "crypto-pipeline backup": f"{LAKE}::test_a_backup_is_restored_elsewhere",
    "crypto-pipeline dictionary": ("test_data_dictionary.py::test_the_command_prints_or_writes_it"),
    "crypto-pipeline doctor": "doctor/test_doctor.py::test_how_it_ends",
    "crypto-pipeline evaluate": (
        "evaluation/test_evaluate.py::test_a_folder_is_scored_printed_and_written"
    ),
    "crypto-pipeline migrate": (
        "migrate/test_migrate.py::test_an_unmarked_lake_is_brought_along_and_goes_on"
    ),
    "crypto-pipeline promote": CHAMPION,
    "crypto-pipeline rebuild": f"{LAKE}::test_rebuild_finds_gold_equal",
    "crypto-pipeline release": f"{LAKE}::test_nothing_is_held_and_nothing_waits_for_a_replay",
    "crypto-pipeline replay": f"{LAKE}::test_nothing_is_held_and_nothing_waits_for_a_replay",
    "crypto-pipeline restore": f"{LAKE}::test_a_backup_is_restored_elsewhere",
    "crypto-pipeline rollback": CHAMPION,
    "crypto-pipeline status": f"{LAKE}::test_status_shows_each_layer",
    "crypto-pipeline trace": f"{LAKE}::test_trace_ends_at_the_venues_bytes",
    "crypto-pipeline train": CHAMPION,
    "python3 -m pip wheel": "databricks/test_wheel.py::test_the_wheel_is_built_as_the_page_says",
    "rm -rf deploy/databricks/build": (
        "databricks/test_wheel.py::test_the_wheel_is_built_as_the_page_says"
    ),
    "sh deploy/docker/build.sh": (
        "images/test_compose.py::test_a_base_without_a_digest_is_refused_in_a_sentence"
    ),
    "sh deploy/trial-secrets.sh": (
        f"{INSTALLED}::test_a_trials_secrets_and_strimzis_are_all_that_is_asked_for"
    ),
    "helm install crypto-pipeline": f"{INSTALLED}::test_helm_installs_the_profile",
    "helm upgrade crypto-pipeline": (
        f"{INSTALLED}::test_what_holds_data_outlives_an_upgrade_and_the_uninstall"
    ),
    "helm uninstall crypto-pipeline": (
        f"{INSTALLED}::test_what_holds_data_outlives_an_upgrade_and_the_uninstall"
    ),
    # The hook's pod is admitted there; what it does is run in cluster/test_pod_processes.py.
    "helm test crypto-pipeline": f"{INSTALLED}::test_every_pod_template_is_admitted_as_restricted",
    "dagster instance migrate": "documents/test_make.py::test_a_laptops_dagster_is_brought_along",
    "umask": "documents/test_make.py::test_the_secret_of_compose_is_made_private",
    "printf": "documents/test_make.py::test_the_secret_of_compose_is_made_private",
    "openssl rand": "documents/test_make.py::test_the_secret_of_compose_is_made_private",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why a command is not run, and the test of what it names."""

    why: str
    test: str


HELD = {
    "docker": Held(why=ENGINE, test=f"{NAMES}::test_what_a_docker_line_names_is_there"),
    "aws cloudformation": Held(
        why="no account here; store/conftest.py deploys the stack into a server of the tests",
        test=f"{NAMES}::test_what_an_aws_line_names_is_in_the_template",
    ),
    "kubectl": Held(why=CLUSTER, test=f"{NAMES}::test_what_a_kubectl_line_names_is_in_the_chart"),
    "cd": Held(
        why="it is for the lines after it", test=f"{NAMES}::test_a_folder_that_is_entered_is_there"
    ),
    "databricks": Held(
        why="no workspace, and no CLI of it, here",
        test=f"{NAMES}::test_what_a_databricks_line_names_is_in_the_bundle",
    ),
    "helm repo add strimzi": Held(
        why="another's repository: no network", test=f"{NAMES}::test_a_helm_lines_files_are_there"
    ),
    "helm install strimzi": Held(
        why="another's chart: no network", test=f"{NAMES}::test_a_helm_lines_files_are_there"
    ),
    "helm uninstall strimzi": Held(
        why="another's chart: no network", test=f"{NAMES}::test_a_helm_lines_files_are_there"
    ),
}


def proof_of(command: str) -> str | None:
    """The test of a command, by the longest beginning that is known; None when there is none."""
    known = {**RUN, **{begin: held.test for begin, held in HELD.items()}}
    fits = [begin for begin in known if f"{command} ".startswith(f"{begin} ")]
    return known[max(fits, key=len)] if fits else None
