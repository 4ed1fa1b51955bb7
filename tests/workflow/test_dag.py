"""Jobs that the workflow plans and configurations that it refuses, in dry runs in a folder of links to the checkout."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from helpers import snakemake

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.workflow


@pytest.fixture
def folder(tmp_path):
    for name in ("Snakefile", "workflow", "config", "profiles", "envs", "toy"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def jobs(completed):
    """Count the jobs of each rule that a dry run lists."""
    assert completed.returncode == 0, completed.stdout
    stats = completed.stdout.rsplit("Job stats:", 1)[-1].split("\n\n")[0] if "Job stats:" in completed.stdout else ""
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", stats, flags=re.M) if name != "total"}


def refused(folder, config, *arguments):
    """Return the output of a run whose configuration is refused."""
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    completed = snakemake(folder, "--dry-run", "--configfile", *arguments, "mine.yaml")
    assert completed.returncode != 0
    assert "Traceback" not in completed.stdout
    return completed.stdout


def own_dataset():
    """Return the four-line example of config/README.md."""
    text = (ROOT / "config" / "README.md").read_text()
    block = re.search(r"```yaml\n(.*?)```", text, flags=re.S).group(1)
    assert len(block.splitlines()) == 4
    assert block in (ROOT / "README.md").read_text()
    return yaml.safe_load(block)


TABLES = [f"table_{i}" for i in ("1", "2", "a1", "a2", "a3")]
ITEMS = dict.fromkeys([*TABLES, *(f"figure_{i}" for i in ("2c", "4", "5")), *(f"figure_a{i}" for i in range(1, 11))], 1)

OVERVIEW = {"paper_comparison": 1, "parameters": 1}


def paper():
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def ablations(default, without=()):
    """Return the variants that are trained, and the number of jobs of each of their rules.

    Variants equal to the default are trained as `baseline`.
    """
    ablation = paper()["ablation"]
    listed = {name for table, names in ablation["tables"].items() if table not in without for name in names}
    models = listed - {*default, "picking"}
    with_vocabulary = {name for name in models if name.startswith("metacells")}
    return models, {
        "predict_variant": len(models),
        "score_variant": len(models),
        **({"vocabulary_of_variant": len(with_vocabulary)} if with_vocabulary else {}),
        **dict.fromkeys(
            {*ablation["tables"], "ablation_cost", "figure_ablation_curves", "figure_scaling"} - {*without}, 1
        ),
    }


def labelling(tested, *, clustering, annotation):
    """Count the jobs that label the cells of test sections, given the number of methods of each task."""
    return {
        "represent": tested * clustering,
        "cluster": tested * clustering,
        "score_clusters": tested,
        "learn_labels": annotation,
        "label": tested * annotation,
        "score_annotations": tested,
        "perturb_ischemia": 1,
    }


def test_toy_goes_through_all_five_datasets(folder):
    toy = yaml.safe_load((ROOT / "config" / "toy.yaml").read_text())["datasets"]
    n_methods = len(paper()["generation"]["methods"])
    tested = toy["mouse_brain"]["parts"]["mouse2"]["sections"] + len(toy["liver_cancer"]["sections"]["test"]) + 1
    samples = sum(map(len, toy["liver_cancer"]["sections"].values()))
    models, ablation = ablations({"l2h2"}, without=["ablation_extra"])
    assert len(models) == 14
    assert jobs(snakemake(folder, "--profile", "toy", "--dry-run")) == {
        **labelling(2, clustering=8, annotation=4),
        **ablation,
        "configuration": 4 + 3 * 5 + 2 + 3 + 1 + len(models),
        "environment": 4,  # all but NicheCompass's
        "fixtures": 1,
        "download": 2 * 5 + 2 * samples + 1 + 1,
        "import_mouse1": 1,
        "import_mouse2": 1,
        "import_section": samples + 1 + len(toy["stroke"]["sections"]["other"]),
        "cut_section": 1 + 2,
        "sections": 1,
        "vocabulary": 3,
        "pretrain": 3,
        "pretrain_variant": len(models),
        "crops": tested + 1,
        "spatially_variable_genes": tested + 1,
        "predict": tested * n_methods,
        "score": tested * n_methods,
        "generation": 1,
        "all": 1,
        **ITEMS,
        **OVERVIEW,
    }


@pytest.mark.slow
def test_the_papers_run_lists_every_job_without_any_data(folder):
    """Sections of the paper: 147 and 66 of the brains, 21 of the liver, 1 of Stereo-seq, 8 of the stroke data."""
    completed = snakemake(folder, "--dry-run", "all")
    tested, n_methods = 66 + 1 + 1, len(paper()["generation"]["methods"])
    models, ablation = ablations({"l8h8", "window_600"})
    assert len(models) == 19
    assert jobs(completed) == {
        **labelling(66, clustering=9, annotation=4),
        **ablation,
        "configuration": 4 + 3 * 5 + 2 + 3 + 1 + len(models) + 3,
        "environment": 5,
        "download": 2 * 5 + 21 * 2 + 1 + 1,
        "import_mouse1": 1,
        "import_mouse2": 1,
        "import_section": 21 + 1 + 8,
        "cut_section": 1 + 2,
        "sections": 1,
        "vocabulary": 3,
        "pretrain": 3,
        "pretrain_variant": len(models) * len(paper()["ablation"]["seeds"]),
        "crops": tested + 1,
        "spatially_variable_genes": tested + 1,
        "predict": tested * n_methods,
        "score": tested * n_methods,
        "generation": 1,
        "all": 1,
        **ITEMS,
        **OVERVIEW,
    }


def test_own_data_in_four_lines(folder):
    config = own_dataset()
    (folder / "brain.h5ad").touch()
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    completed = snakemake(folder, "--dry-run", "--configfile", "mine.yaml", "--config", f"data_dir={folder}")
    counted = jobs(completed)
    assert counted["import_section"] == 4
    assert not {"download", "import_mouse1"} & counted.keys(), "the paper's datasets are not asked for"
    # Methods without a model do not wait for one.
    predictions = re.findall(r"by (\w+); log in.*\n *Reason: .*: (.*)", completed.stdout)
    waiting = {method for method, files in predictions if "model-s0" in files}
    assert Counter(method for method, _ in predictions).keys() - waiting == {
        *("gp", "mlp", "mean_of_seen", "nearest_seen", "true_metacells")
    }


@pytest.mark.slow
def test_what_is_scored_is_not_learnt_from(folder):
    """Trainings of the paper's run read no test section, and validation sections only to validate."""
    output = snakemake(folder, "--dry-run", "--printshellcmds", "all").stdout
    trainings = re.findall(r"gest (?:pretrain|vocabulary) (.*)", output)
    assert len(trainings) == 6 + 3 + 19 * 3
    for command in trainings:
        read = set(re.findall(r"sections/([^/]+)\.h5ad", command.split("--validation")[0]))
        held_out = set(re.findall(r"--validation=\S+/([^/]+)\.h5ad", command))
        if "mouse_brain" in command:
            whole = {f"mouse1_{rank:03d}" for rank in range(1, 147)}
            share = re.search(r"ablation/data_(\w+)/model", command)
            assert len(read) == ({"half": 73, "third": 49}[share[1]] if share else 146)
            assert read <= whole
            assert held_out <= (
                {"ablation_validation"}
                if "--out results/paper/mouse_brain/ablation" in command
                else {"mouse1_validation"}
            )
        elif "liver_cancer" in command:
            assert len(read) == 20
            assert "HCC-1L" not in read
        else:
            assert read == {"sagittal_rest"}, "the section without what is tested on it"


def test_missing_data_says_where_to_name_them(folder):
    output = refused(folder, own_dataset())
    assert "datasets.brain.path: data/brain.h5ad not found" in output
    assert "data_dir" in output


def test_misspelt_key_is_named(folder):
    output = refused(folder, {"pretraining": {"step": 5}})
    assert "Configuration, pretraining: " in output
    assert "'step' was unexpected" in output
    assert "steps, target_cells, batch_size" in output


def test_every_table_and_figure_is_a_target_with_a_description(folder):
    listed = dict(re.findall(r"^(\w+) \((.+)\)$", snakemake(folder, "--list-target-rules").stdout, flags=re.M))
    for name in [*ITEMS, "table_3", "table_4", "table_a4"]:
        kind, _, number = name.partition("_")
        assert listed[name].startswith(f"{kind.capitalize()} {number.replace('a', 'A.')}: "), name
    assert {"all", "generation", "sections", "paper_comparison", "parameters"} <= listed.keys()


def test_table_4_lists_its_own_jobs_alone(folder):
    listed = jobs(snakemake(folder, "--dry-run", "table_4"))
    assert listed == {
        "configuration": 2 + 1 + 1 + 1 + 1 + 7,  # section and cut, vocabulary, crops, svg, prediction, variants
        "download": 5,
        "environment": 1,
        "import_mouse1": 1,
        "cut_section": 2,
        "vocabulary": 1,
        "crops": 1,
        "spatially_variable_genes": 1,
        "pretrain_variant": 7 * 3,
        "predict_variant": 7,
        "score_variant": 7,
        "table_4": 1,
    }


def test_a_variant_is_trained_once_whatever_its_names(folder):
    """In the paper's run, l8h8 and window_600 are the same model as baseline; in the toy run, l2h2 is."""
    for arguments, names in (([], {"l8h8", "window_600"}), (["--profile", "toy"], {"l2h2"})):
        output = snakemake(folder, "--dry-run", "table_3", "table_4", "table_a4", *arguments).stdout
        variants = set(re.findall(r"Pre-training the variant (\w+) ", output))
        assert "baseline" in variants
        assert not names & variants


def test_data_of_a_third_are_among_those_of_a_half(folder):
    output = snakemake(folder, "--dry-run", "--printshellcmds", "table_3").stdout
    read = {
        (share, seed): set(re.findall(r"sections/(mouse1_\d+)\.h5ad", line))
        for line in output.splitlines()
        for share, seed in re.findall(r"ablation/data_(\w+)/model-s(\d)", line)
        if "gest pretrain" in line
    }
    assert len(read) == 2 * 3
    assert all(read["third", seed] < read["half", seed] for seed in "012")
    assert read["half", "0"] != read["half", "1"], "every seed draws other sections"


def test_a_run_without_the_ablations_dataset_says_so(folder):
    (folder / "brain.h5ad").touch()
    (folder / "mine.yaml").write_text(yaml.safe_dump(own_dataset()))
    completed = snakemake(folder, "--dry-run", "table_3", "--configfile", "mine.yaml", "--config", f"data_dir={folder}")
    assert "ablation.dataset: 'mouse_brain' is not a dataset of this run" in completed.stdout
    assert "Traceback" not in completed.stdout


def test_jobs_of_gest_request_a_gpu_on_the_cluster():
    """These are the rules that run a model, and the rules grouped with one of them."""
    rules = [path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")]
    trainings = {"pretrain", *(name for text in rules for name in re.findall(r"rule pretrain as (\w+) with", text))}
    of_model = r"(?:models=lambda w|learnt=lambda w|model=\"|annotators=)"
    running = {
        name for text in rules for name in re.findall(rf"rule (\w+):\n    input:(?:\n        .*)*?{of_model}", text)
    }
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    on_gpu = {name for name, resources in profile["set-resources"].items() if resources.get("gpu")}
    assert len(running) == 6
    assert on_gpu == trainings | running | {"figure_a1", "score", "score_variant"}
    for shared in ("score", "score_variant"):
        assert profile["groups"][shared] in {profile["groups"][name] for name in running & profile["groups"].keys()}


@pytest.mark.slow
def test_short_jobs_of_one_dataset_are_one_job_on_the_cluster(folder):
    (folder / "slurm").symlink_to(ROOT / "profiles" / "slurm")
    output = snakemake(folder, "--profile", "slurm", "--dry-run", "all").stdout
    for rule in ("crops", "spatially_variable_genes"):
        groups = [re.findall(rf"log in .*/{rule}/(\w+)/", text) for text in re.split(r"Group job .*\n", output)[1:]]
        assert sorted(len(datasets) for datasets in groups if datasets) == [1, 1, 3, *[8] * 8], rule
        assert all(len(set(datasets)) <= 1 for datasets in groups), "the files of one may be missing"


def test_documents_name_files_that_the_toy_makes(folder):
    summary = snakemake(folder, "--profile", "toy", "--summary").stdout
    for document in ("README.md", "Makefile"):
        for path in re.findall(r"results/toy/\w+/\w+\.\w+", (ROOT / document).read_text()):
            assert path in summary, f"{document} names {path}"


def test_a_missing_file_without_url_says_what_to_place(folder):
    """The liver files have no URL: the error says where to find them and where to put them."""
    completed = snakemake(
        folder, "--cores", "1", "results/paper/upstream/liver_cancer/HCC-1L/filtered_feature_bc_matrix.h5.json"
    )
    assert completed.returncode != 0
    output = (folder / "logs/paper/download/liver_cancer/HCC-1L/filtered_feature_bc_matrix.h5.log").read_text()
    assert "lifeome.net" in output
    assert "data/liver_cancer/HCC-1L/filtered_feature_bc_matrix.h5" in output
    assert "Traceback" not in output
    assert len(output.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_changed_key_remakes_what_read_it(folder):
    """Empty files replace results, so that nothing is computed."""
    summary = snakemake(folder, "--profile", "toy", "--summary").stdout
    for name in re.findall(r"^(results/\S+)\t", summary, flags=re.M):
        path = folder / name
        is_folder = path.name.startswith(("model-", "fixtures")) or path.parent.name == "annotators"
        path.mkdir(parents=True) if is_folder else path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            path.touch()
    assert snakemake(folder, "--profile", "toy", "--touch", "--forceall").returncode == 0
    assert jobs(snakemake(folder, "--profile", "toy", "--dry-run")) == {}

    n_methods = len(paper()["generation"]["methods"])
    changed = {"generation": {"seeds": [0, 1]}}
    (folder / "changed.yaml").write_text(yaml.safe_dump(changed))
    again = jobs(snakemake(folder, "--profile", "toy", "--dry-run", "--configfile", "config/toy.yaml", "changed.yaml"))
    assert again == {
        "configuration": 3,
        "predict": 4 * n_methods,
        "score": 4 * n_methods,
        "generation": 1,
        **{
            name: n
            for name, n in ablations({"l2h2"}, without=["ablation_extra"])[1].items()
            if name != "ablation_cost" and "curves" not in name
        },
        **{item: 1 for item in ITEMS if item in ("figure_4", "table_a1", "figure_a2", "figure_a5", "figure_a10")},
        **OVERVIEW,
        "all": 1,
    }

    (folder / "changed.yaml").write_text(yaml.safe_dump({"pretraining": {"steps": 7}}))
    again = jobs(snakemake(folder, "--profile", "toy", "--dry-run", "--configfile", "config/toy.yaml", "changed.yaml"))
    assert again["configuration"] == 1, "the others set their own steps, and variants a number of cells"
    assert again["pretrain"] == 1
    assert "pretrain_variant" not in again
    assert again["predict"] == again["score"] == 4  # gest and gest_continued, two sections
    assert "vocabulary" not in again
