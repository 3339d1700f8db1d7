"""Early stopping: which epoch was the best so far, and when none has been better for too long."""

import math
from collections.abc import Mapping

from bpcli.config.experiment import EarlyStopping
from bpcli.engine.state import network_state, snapshot
from bpcli.studies.run.scoring import direction_of
from bpcli.studies.run.state import TrainingState


class EarlyStopper:
    """Counts the epochs in which a figure has not improved, and keeps the weights of the best one.

    Source    Prechelt 1998, "Early stopping - but when?"
    """

    def __init__(self, settings: EarlyStopping, state: TrainingState) -> None:
        self.settings, self.state = settings, state
        mode = settings.mode or {"lower": "min", "higher": "max"}[direction_of(state.metrics, settings.metric)]
        self.lower = mode == "min"

    def improved(self, figures: Mapping[str, float]) -> bool:
        """Takes the figures of a completed epoch in; whether it is the best one so far."""
        p, value = self.state.progress, figures[self.settings.metric]
        gain = (p.best - value) if self.lower else (value - p.best)
        if math.isfinite(value) and (math.isnan(p.best) or gain > self.settings.min_delta):
            p.best, p.best_epoch, p.bad_epochs = value, p.epoch, 0
            if self.settings.restore_best:
                self.state.best_weights = snapshot(network_state(self.state.objective.network))
            return True
        p.bad_epochs += 1
        return False

    def reason(self) -> str:
        """Returns why training is over, in words; nothing where it is not."""
        p = self.state.progress
        if p.bad_epochs < self.settings.patience:
            return ""
        best = f"best {p.best:.6g} in epoch {p.best_epoch}" if p.best_epoch else "it never was a finite number"
        return f"{self.settings.metric} has not improved for {self.settings.patience} epochs; {best}"
