"""Kill trainings and workflows at random moments, and compare their results.

After resuming, their results must equal those of an undisturbed run byte for byte.

    python benchmarks/faults.py --folder FOLDER

First, tiny models are trained on simulated tissue. Each training is killed up to five times before it may end: mostly
by SIGKILL, also by SIGTERM and SIGUSR1; at random moments, and while a checkpoint is half-written. The second part
kills one process, or the launcher, of trainings in two processes. The third part kills Snakemake and all its processes
in a small workflow of one training, its predictions and their scores. FOLDER/faults.csv lists every kill, and
results/benchmarks/faults.csv summarises them. The exit code is 1 if any byte differs or too many steps were lost.

Processes of the first part are forks of one that has imported torch, so that kills hit the training, not the import.
"""

import os
import random
import shutil
import signal
import sys
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from command_faults import VOCABULARY, Pair, Workflow, digest, kill_commands, simulate_sections
from measuring import machine, options, write
from torch.optim.optimizer import register_optimizer_step_post_hook

import gest
from gest import Vocabulary
from gest.data.tokenize import tokenize
from gest.errors import Interrupted, exit_code
from gest.training.vocabulary import fit_sections

INTERVAL = 10  # steps between two checkpoints
CONFIG = {
    "window": 300,
    "model": {"layers": 2, "heads": 2, "width": 32, "dropout": 0.1},
    "pretraining": {"steps": 200, "batch_size": 4, "warmup_steps": 20, "validate_every": 50, "thinning": 0.5},
}
CONFIG["pretraining"]["checkpoint_every"] = INTERVAL
PAIR_CONFIG = CONFIG | {"pretraining": CONFIG["pretraining"] | {"steps": 600}}  # trains for longer than it starts
MOMENTS = ("starting", "training", "training", "saving")
SIGNALS = (*[signal.SIGKILL] * 4, signal.SIGTERM, signal.SIGUSR1)


class Training:
    """One training in a folder, in processes that can be killed."""

    def __init__(self, tokens: list, vocabulary: Vocabulary, folder: Path) -> None:
        self.tokens, self.vocabulary, self.folder = tokens, vocabulary, folder
        self.done = get_context("fork").Value("q", 0)  # steps

    def start(self) -> None:
        """Fork a process that trains, or resumes the training."""
        self.done.value = self.newest()
        self.process = get_context("fork").Process(target=self._train)
        self.process.start()

    def _train(self) -> None:
        def count(*_: object) -> None:
            self.done.value += 1

        register_optimizer_step_post_hook(count)
        with (self.folder / "err").open("a") as log:
            os.dup2(log.fileno(), 2)
            try:
                gest.pretrain(
                    self.tokens[:2],
                    self.vocabulary,
                    CONFIG,
                    validation=self.tokens[2:],
                    out=self.folder / "model",
                    state=self.folder / "state",
                )
            except Interrupted as error:
                sys.exit(exit_code(error))

    def partial(self) -> bool:
        """Return whether a checkpoint is half-written now."""
        return any(self.folder.glob("state/*/.partial-*"))

    def newest(self) -> int:
        """Return the step of the newest checkpoint."""
        return max((int(path.stem[5:]) for path in self.folder.glob("state/*/step-*.pt")), default=0)

    def model(self) -> Path:
        """Return the path of the weights."""
        return self.folder / "model" / "model.safetensors"


def kill_trainings(folder: Path, *, kills: int, seed: int) -> list[dict]:
    """Kill trainings up to five times each, and compare the resulting weights."""
    rng = random.Random(seed)
    sections = simulate_sections(3)
    vocabulary = fit_sections(sections, VOCABULARY)
    tokens = [tokenize(section, vocabulary) for section in sections]

    def training(name: str) -> Training:
        (folder / name).mkdir(parents=True)
        return Training(tokens, vocabulary, folder / name)

    whole = training("whole")
    whole.start()
    whole.process.join()
    expected, rows = digest(whole.model()), []
    while len(rows) < kills:
        number = len(rows) // 5
        run, chain = training(f"training-{number}"), []
        while len(chain) < 5:
            moment, kind = rng.choice(MOMENTS), rng.choice(SIGNALS)
            until = 0 if moment == "starting" else run.newest() + rng.randint(1, 30)
            run.start()
            while run.process.is_alive() and run.done.value < until:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.3 if moment == "starting" else 0.03))
            while moment == "saving" and run.process.is_alive() and not run.partial():
                pass
            os.kill(run.process.pid, kind)
            saving = kind == signal.SIGKILL and run.partial()
            run.process.join()
            if run.process.exitcode == 0:  # it ended before the kill
                break
            done = run.done.value
            lost = done - run.newest()
            chain.append({"what": "training", "run": number, "moment": moment, "signal": kind.name, "saving": saving})
            chain[-1] |= {"step": done, "lost_steps": lost, "exit_code": run.process.exitcode}
        run.start()
        run.process.join()
        same = run.process.exitcode == 0 and digest(run.model()) == expected
        rows += [row | {"same": same} for row in chain]
        print(f"training {number}: {len(chain)} kills, same bytes: {same}", file=sys.stderr)
    return rows


def main() -> int:
    """Kill, compare, and write the results."""
    parser = options(__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="working folder; emptied first")
    parser.add_argument("--kills", type=int, default=60, help="kills of trainings")
    parser.add_argument("--pair-kills", type=int, default=10, help="kills of trainings in two processes")
    parser.add_argument("--workflow-kills", type=int, default=10, help="kills of workflows")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shutil.rmtree(arguments.folder, ignore_errors=True)
    started = time.perf_counter()
    rows = kill_trainings(arguments.folder, kills=arguments.kills, seed=arguments.seed)
    pair, common = partial(Pair, config=PAIR_CONFIG), {"folder": arguments.folder, "seed": arguments.seed}
    rows += kill_commands("pair", pair, kills=arguments.pair_kills, share=0.7, **common)
    rows += kill_commands("workflow", Workflow, kills=arguments.workflow_kills, share=0.25, **common)
    table = pd.DataFrame(rows)
    table.to_csv(arguments.folder / "faults.csv", index=False)
    summary = []
    for (what, sent), same in table.groupby(["what", "signal"]):
        summary.append(
            {
                "what": what,
                "signal": sent,
                "kills": len(same),
                "while_saving": int((same["saving"] == True).sum()),  # noqa: E712 (unknown for workflows)
                "most_steps_lost": same["lost_steps"].max(),
                "interval": INTERVAL,
                "different": int((~same["same"]).sum()),
                "seconds_in_all": round(time.perf_counter() - started),
                **machine(torch.device("cpu")),
            }
        )
    write("faults", summary, quick=arguments.quick)
    lost = {sent: INTERVAL if sent == "SIGKILL" else 0 for sent in table["signal"]}
    return int(not table["same"].all() or (table["lost_steps"] > table["signal"].map(lost)).any())


if __name__ == "__main__":
    sys.exit(main())
