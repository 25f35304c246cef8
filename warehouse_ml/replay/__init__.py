"""Old decisions again: scored as they were, explained, with the SQL that made their features."""

from warehouse_ml.replay.answers import Answer, answers_of
from warehouse_ml.replay.one import Replayed, replay
from warehouse_ml.replay.period import ReplayedVersion, replay_period, window_of

__all__ = ["Answer", "Replayed", "ReplayedVersion", "answers_of", "replay", "replay_period", "window_of"]
