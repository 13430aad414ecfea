"""The projected gradients of a job's rows, in one folder of the job that appears whole or not at all.

    attribution/gradients/
        gradients.safetensors   ``train`` and ``held_out``, float16 ``[points, rows, SIZE]``, of unit length;
                                ``train_norms`` and ``held_out_norms``; ``train_losses``, per learned token
        rows.json               where the rows are, and the steps of the points

A row takes 8 KiB for each point. The folder can be made again, so it does not travel with the job.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors.torch import load_file, save_file

from arkor_dev.local.jobs.atomic_folder import DamagedFolderError, checked, write_atomically
from arkor_dev.local.jobs.job_folder import gradients_folder

if TYPE_CHECKING:
    from pathlib import Path

TENSORS: Final = "gradients.safetensors"
ROWS: Final = "rows.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Gradients:
    """Gradients of rows at some points of a training.

    ``unit`` are ``[points, rows, SIZE]``, each of length one, ``norms`` their lengths and ``losses`` the
    rows' losses per learned token, both ``[points, rows]``.
    """

    unit: Any
    norms: Any
    losses: Any


@dataclass(frozen=True, slots=True)
class GradientStore:
    """The gradients of a job's training rows and held-out rows at its ``steps``.

    ``where`` has the location of each training row, ``groups`` the group of each held-out row, and ``rows``
    the hash of all rows.
    """

    steps: list[int]
    where: list[str]
    groups: list[int]
    rows: str
    train: Gradients
    held_out: Gradients

    def write(self, data: Path, job_id: str) -> None:
        """Write it into the job's folder. Raises OSError."""
        tensors = {
            f"{name}_{part}": tensor.contiguous()
            for name, each in (("train", self.train), ("held_out", self.held_out))
            for part, tensor in (("unit", each.unit.half()), ("norms", each.norms), ("losses", each.losses))
        }
        facts = {
            "format": FORMAT,
            "steps": self.steps,
            "where": self.where,
            "groups": self.groups,
            "rows": self.rows,
        }

        def write(folder: Path) -> None:
            save_file(tensors, folder / TENSORS)
            (folder / ROWS).write_text(json.dumps(facts))

        write_atomically(gradients_folder(data, job_id), write)

    @classmethod
    def read(cls, data: Path, job_id: str, rows: str, steps: list[int]) -> GradientStore | None:
        """Read a job's store; None without one that is whole and of the same ``rows`` and ``steps``."""
        folder = gradients_folder(data, job_id)
        try:
            checked(folder, ROWS)
            facts = json.loads((folder / ROWS).read_text())
            if (facts["format"], facts["rows"], facts["steps"]) != (FORMAT, rows, steps):
                return None
            tensors = load_file(folder / TENSORS)
            train, held_out = (
                Gradients(*(tensors[f"{name}_{part}"].float() for part in ("unit", "norms", "losses")))
                for name in ("train", "held_out")
            )
            return cls(steps, facts["where"], facts["groups"], rows, train, held_out)
        except (DamagedFolderError, OSError, ValueError, KeyError, TypeError):
            return None


def gradients_of(sums: Any, losses: Any) -> Gradients:
    """Return the gradients with the projections ``sums`` ``[points, rows, SIZE]``."""
    norms = torch.linalg.vector_norm(sums, dim=-1)
    return Gradients(sums / norms.clamp(min=1e-30)[..., None], norms, losses)
