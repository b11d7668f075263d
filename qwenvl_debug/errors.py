"""Which mistakes can happen, each with one plain sentence that says what was wrong and what to do."""


class QwenVLDebugError(Exception):
    """Base of every error that is meant to be read by a person; `str(error)` is one plain sentence."""


class PictureError(QwenVLDebugError):
    """The picture cannot be read, is not a picture, or cannot be used by the model."""


class CaseError(QwenVLDebugError):
    """The question, the expected answer or the target answer cannot be used."""


class ModelLoadError(QwenVLDebugError):
    """The checkpoint cannot be found, is broken, or is not one of the supported model types."""


class CaptureError(QwenVLDebugError):
    """Attention was asked for that this run does not hold."""


class QueryError(QwenVLDebugError):
    """The tokens chosen to ask with do not exist in this run."""


class Cancelled(QwenVLDebugError):
    """The work was stopped on request; nothing was kept."""


class RegionError(QwenVLDebugError):
    """A region or one of its shapes cannot be used."""


class CauseError(QwenVLDebugError):
    """An intervention cannot be made or measured on these runs."""


class NothingToExplain(CauseError):
    """Both runs answer alike, so no cause can be looked for."""


class SettingsError(QwenVLDebugError):
    """A setting in the environment cannot be used."""


class StoreError(QwenVLDebugError):
    """Something cannot be stored, or what was stored cannot be read."""


class ChangedMeanwhile(StoreError):
    """Someone else changed or deleted the same thing first; nothing of theirs was overwritten."""
