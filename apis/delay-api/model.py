"""The published model: loaded when first needed, and again whenever a newer one has been published."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import skops.io
from sklearn.pipeline import Pipeline

# skops loads nothing but plain data unless it is told what to trust: these are what else our candidates consist of.
TRUSTED = [
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
]


@dataclass(frozen=True)
class Model:
    """A model with what is known about it: `metrics` from training, `serving` for filling in and refusing inputs."""

    pipeline: Pipeline
    metrics: dict[str, Any]
    serving: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Model:
        return cls(
            pipeline=skops.io.load(folder / "model.skops", trusted=TRUSTED),
            metrics=json.loads((folder / "metrics.json").read_text()),
            serving=json.loads((folder / "serving.json").read_text()),
        )


class Unavailable(Exception):
    """No model can be served now; the message says why."""


class CurrentModel:
    """The newest model in `folder`, a link that Herd points at a new version as soon as there is one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._loaded_from: Path | None = None
        self._model: Model | None = None

    def get(self) -> Model:
        """Loading takes a fraction of a second, and happens once a version. Raises Unavailable."""
        version = self._folder.resolve()  # one version from here on, whatever happens to the link meanwhile
        if version == self._loaded_from and self._model is not None:
            return self._model
        with self._lock:
            if version != self._loaded_from:
                if not (version / "model.skops").exists():
                    raise Unavailable("no model has been published yet: run the job choose-model first")
                self._model, self._loaded_from = Model.load(version), version
            assert self._model is not None
            return self._model
