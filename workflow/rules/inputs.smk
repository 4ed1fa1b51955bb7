# Functions only: which files follow from the configuration; those of one kind of rules stand in files of their own.
# Needs: the resolved configurations. Makes: lists of files, and parameters of jobs.


include: "paper_inputs.smk"
include: "figure_inputs.smk"
include: "label_inputs.smk"
include: "perturbation_inputs.smk"
include: "ablation_inputs.smk"


def growing(amount):
    """Resource function: so much at the first attempt, twice as much at the second, and so on."""

    def asked(wildcards, attempt):
        return amount * attempt

    return asked


def stage_settings(wildcards):
    """What one stage reads of a dataset's configuration, as JSON; `{stage}-{variant}` is that of a variant."""
    stage, _, variant = wildcards.stage.partition("-")
    settings = variant_settings(wildcards.dataset, stage, variant) if variant else stage_keys(wildcards.dataset, stage)
    return json.dumps(settings, indent=2)


def stage_keys(dataset, stage):
    """What one stage reads of a dataset's configuration."""
    settings = {}
    for key in STAGES[stage]:
        *parents, last = key.split(".")
        source, target = DATASETS[dataset], settings
        for parent in parents:
            source, target = source[parent], target.setdefault(parent, {})
        if last in source:
            target[last] = deepcopy(source[last])
    return settings


def atlas_parts():
    """Every part of every dataset of the ABC Atlas, each read by one job: its files hold many sections."""
    return [
        (name, part, about)
        for name, dataset in DATASETS.items()
        if dataset["source"] == "abc_atlas"
        for part, about in dataset["parts"].items()
    ]


def datasets_read_one_by_one():
    """Names of the datasets whose sections are read by a job each."""
    return [name for name, dataset in DATASETS.items() if dataset["source"] != "abc_atlas"]


def cut_sections():
    """Names of the sections that are cut out of others."""
    return [section for dataset in DATASETS.values() for section in dataset.get("cut", {})]


def whole_sections(dataset):
    """Sections of a dataset that are no parts of others."""
    named = [section for role in ROLES for section in dataset["sections"][role]]
    return [section for section in named if section not in dataset.get("cut", {})]


def section_cut_from(wildcards):
    """The section that another one is cut out of."""
    whole = DATASETS[wildcards.dataset]["cut"][wildcards.section]["of"]
    return f"<results>/{wildcards.dataset}/sections/{whole}.h5ad"


def receipts(upstream, section=""):
    """Proofs that the files of a set, and of one of its samples, are there and are the right ones."""
    files = config["upstream"][upstream]["files"]
    return [f"<results>/upstream/{upstream}/{file.replace('{sample}', section)}.json" for file in files]


def data_of_section(wildcards):
    """What a section is read from; stop with one sentence if a user's own data are not there."""
    dataset = DATASETS[wildcards.dataset]
    if "upstream" in dataset:
        return receipts(dataset["upstream"], wildcards.section)
    if not Path(dataset["path"]).exists():
        stop(
            f"datasets.{wildcards.dataset}.path: there is no {dataset['path']}; name its folder with "
            "`--config data_dir=FOLDER` or the environment variable GEST_DATA."
        )
    return dataset["path"]


def upstream_folder(wildcards):
    """Where a set's files lie; they are no declared outputs, because Snakemake deletes those of a failed job."""
    return str(folder_of_data(config) / wildcards.set)


def upstream_page(wildcards):
    """Where a person finds a set's files."""
    return config["upstream"][wildcards.set]["page"]


def upstream_entry(wildcards):
    """What is known of an upstream file: by config/datasets.yaml, or in the toy run of the simulated one."""
    if config["fixtures"]:
        return f"results/{config['run']}/fixtures/{wildcards.set}/{wildcards.file}.entry.json"
    about = config["upstream"][wildcards.set]
    for sample in about.get("samples") or [""]:
        for name, entry in about["files"].items():
            if name.replace("{sample}", sample) == wildcards.file:
                return json.dumps(entry).replace("{sample}", sample)
    raise WorkflowError(f"config/datasets.yaml, upstream.{wildcards.set}.files: there is no '{wildcards.file}'.")


def served_fixtures(wildcards):
    """The simulated files that the toy run downloads in the place of the real ones."""
    return "<results>/fixtures" if config["fixtures"] else []


def serving(wildcards, input):
    """In the toy run, the server that a download runs beside."""
    return f"python -m gest.testing.server {input.fixtures} --" if config["fixtures"] else ""


def fixture_settings(wildcards):
    """What the toy run's upstream files are simulated from, as JSON."""
    sets = {about["upstream"]: {"source": "abc_atlas", "sections": about["sections"]} for _, _, about in atlas_parts()}
    for name in datasets_read_one_by_one():
        dataset = DATASETS[name]
        if "upstream" in dataset:
            sets[dataset["upstream"]] = {"source": dataset["source"], "sections": whole_sections(dataset)}
    for name, about in sets.items():
        about["files"] = list(config["upstream"][name]["files"])
    return json.dumps({**config["fixtures"], "sets": sets}, indent=2)


def sections_for(role):
    """Input function: the sections of a dataset in one role."""

    def files(wildcards):
        names = DATASETS[wildcards.dataset]["sections"][role]
        return [f"<results>/{wildcards.dataset}/sections/{name}.h5ad" for name in names]

    return files


def all_sections(wildcards):
    """Every section of every dataset."""
    return [f"<results>/{dataset}/sections/{name}.h5ad" for dataset, name, _ in section_roles(wildcards)]


def section_roles(wildcards):
    """Dataset, section and role of `all_sections`, in the same order."""
    return [
        (dataset, name, role)
        for dataset, about in DATASETS.items()
        for role in ROLES
        for name in about["sections"][role]
    ]


def expected_totals(wildcards):
    """What upstream is known to hold, and in which sections, of the datasets all of whose sections are read."""
    return {
        name: (dataset["expected"], whole_sections(dataset))
        for name, dataset in DATASETS.items()
        if dataset.get("expected")
        and set(dataset["known"]) - set(dataset.get("cut", {})) == set(whole_sections(dataset))
    }


def validation_options(wildcards, input):
    """The validation sections as options of `gest pretrain`."""
    return [f"--validation={path}" for path in input.validation]


def once_on_each_node(wildcards, resources, threads):
    """What starts the processes of a job of several nodes: its srun, which starts one task on each; nothing on one."""
    nodes = resources.get("nodes", 1)
    if nodes == 1:
        return ""
    each = f"--ntasks-per-node=1 --gpus-per-node={resources.gpu // nodes} --cpus-per-task={threads}"
    return f"{resources.mpi} --nodes={nodes} --ntasks={nodes} {each} --kill-on-bad-exit=1"


def svg_environment(wildcards):
    """The environment of the method that ranks genes; none for Moran's I, which is our own."""
    return ".venvs/somde" if DATASETS[wildcards.dataset]["svg"]["method"] == "somde" else []


def svg_top(wildcards):
    """Size of the set of spatially variable genes."""
    return DATASETS[wildcards.dataset]["svg"]["top"]


def learnt_by(wildcards):
    """What a method predicts with: the pre-trained models, or the vocabulary alone."""
    if wildcards.method in MODEL_METHODS:
        return [f"<results>/{wildcards.dataset}/model-s{seed}" for seed in config["model_seeds"]]
    return [f"<results>/{wildcards.dataset}/vocabulary.npz"]


def learnt_options(wildcards, input):
    """The same as options of `gest paper predict`."""
    kind = "model" if wildcards.method in MODEL_METHODS else "vocabulary"
    return [f"--{kind}={path}" for path in input.learnt]


def generation_datasets():
    """Datasets to generate cells on: those named, else all that have sections to train and to test on."""
    able = [name for name, about in DATASETS.items() if about["sections"]["train"] and about["sections"]["test"]]
    names = able if config["generation"]["datasets"] is None else config["generation"]["datasets"]
    if not names:
        stop("datasets: none has both train and test sections, where cells are generated on those that do; list some.")
    return names


def score_files(wildcards):
    """The scores of every method on every test section."""
    return [
        f"<results>/{dataset}/generation/{section}/{method}.csv"
        for dataset in generation_datasets()
        for section in DATASETS[dataset]["sections"]["test"]
        for method in DATASETS[dataset]["generation"]["methods"]
    ]


def labelled_datasets(task):
    """Datasets whose test sections are clustered, or annotated: those named, else all with labels to score by."""
    able = [
        name
        for name, about in DATASETS.items()
        if about.get("labels") and about["sections"]["train"] and about["sections"]["test"]
    ]
    named = config[task]["datasets"]
    for name in named or []:
        if name not in able:
            stop(
                f"{task}.datasets: '{name}' is not among the datasets that have labels, train and test sections "
                f"({', '.join(able) or 'none'}); name one of these."
            )
    return able if named is None else named


def labelling_methods(task, dataset):
    """The methods of a task that are given at least one seed."""
    return [method for method in LABELLING[task] if DATASETS[dataset][task]["methods"][method]]


def item_datasets(item):
    """Datasets of this run that a paper item is made of; none where it cannot be made."""
    named = config["paper_items"][item]
    task = ITEM_TASKS.get(item)
    if task == "perturbation":
        able = perturbed_datasets()
    else:
        able = labelled_datasets(task) if task else generation_datasets()
    every = able if item.startswith("table") else able[:1]
    wanted = every if named is None else [named] if isinstance(named, str) else named
    return [dataset for dataset in wanted if dataset in able]


def all_scores(wildcards):
    """Every score of the run, as the tables of each task gather them."""
    gathered = {"clustering": "table_1", "annotation": "table_2", "perturbation": "table_a3"}
    names = ["generation"] + [task for task, item in gathered.items() if item_datasets(item)] + ablation_tables()
    return [f"<results>/scores/{name}.csv" for name in names]


def deliverables(wildcards):
    """Every table and figure of the run."""
    items = [item for item in config["paper_items"] if item_datasets(item)]
    tables = (
        ["sections", "generation", "paper_comparison"]
        + [item for item in items if item.startswith("table")]
        + ablation_tables()
    )
    figures = ["figure_2c"] + [item for item in items if item.startswith("figure")]
    if ablation_tables():
        tables.append("ablation_cost")
        figures += ["figure_ablation_curves", "figure_scaling"]
    files = [f"<results>/tables/{item}.csv" for item in tables] + [f"<results>/figures/{item}.png" for item in figures]
    return [*files, "<results>/tables/parameters.html"]
