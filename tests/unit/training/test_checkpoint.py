"""Checkpoints: the key of a training, locks, damaged files and a full disk."""

import errno
import fcntl
import resource
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import TINY

import gest
from gest.errors import UserError
from gest.training import checkpoint


def test_other_gene_names_give_another_key(tokens, vocabulary):
    renamed = replace(vocabulary, genes=np.array([f"ENS{i}" for i in range(len(vocabulary.genes))]))
    config = gest.Config.of(TINY)
    assert checkpoint.run_key(config, tokens, [], renamed, 0) != checkpoint.run_key(config, tokens, [], vocabulary, 0)


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch, error):
    def unsupported(*_):
        raise OSError(error, "no locks")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(UserError, match="cannot lock files"), checkpoint.Checkpoints(tmp_path):
        pass


def test_a_damaged_checkpoint_is_skipped(tmp_path, capsys):
    with checkpoint.Checkpoints(tmp_path) as states:
        assert states.newest() is None
        for step in (1, 2, 3):
            states.save(step, {"step": step})
        assert [path.name for path in states.paths()] == ["step-000000002.pt", "step-000000003.pt"]
        newest = states.paths()[-1]
        newest.write_bytes(newest.read_bytes()[:-7])
        assert states.newest() == {"step": 2}
    assert "damaged" in capsys.readouterr().err


def test_after_damaged_checkpoints_new_ones_are_kept(tmp_path):
    with checkpoint.Checkpoints(tmp_path) as states:
        for step in (8, 9):
            states.save(step, {"step": step})
        for path in states.paths():
            path.write_bytes(b"")
        assert states.newest() is None
        states.save(1, {"step": 1})
        assert states.newest() == {"step": 1}


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path):
    """A write fails in the middle; a limit on the size of files stands in for a full disk."""
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with checkpoint.Checkpoints(tmp_path) as states:
        states.save(1, {"step": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
        try:
            with pytest.raises(
                UserError, match=r"step-000000002\.pt: cannot be written .*the checkpoint before it is kept"
            ):
                states.save(2, {"step": 2, "weights": torch.zeros(10_000)})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert states.newest() == {"step": 1}
        assert not list(tmp_path.glob(".partial-*"))
