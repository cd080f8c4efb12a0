"""The errors a user may meet. Each message names the file or field at fault and what to do about it.

The command line prints the message alone, without a traceback, and exits with the class's `exit_code`.
"""


class RobustfrontError(Exception):
    """Base of every error that is the input's or the machine's fault rather than a bug of ours."""

    exit_code = 1


class ConfigError(RobustfrontError):
    """params.yaml (or a file named in it) says something that cannot be run."""

    exit_code = 2


class NoDevice(ConfigError):
    """The command line asks for a device that this machine does not have."""


class DataError(RobustfrontError):
    """A data set cannot be had: missing files, wrong checksum, unreadable content."""


class ArtefactError(RobustfrontError):
    """A file written by an earlier step is missing, damaged, or belongs to another config."""


class NotebookFailed(RobustfrontError):
    """A cell of a notebook raised. The executed notebook with the traceback is kept."""


class ReportIncomplete(RobustfrontError):
    """A table or figure could not be made, or results are missing. The page is there and says which."""


class TrainingDiverged(RobustfrontError):
    """A loss became NaN or infinite. The last good checkpoint is kept."""


class RunLocked(RobustfrontError):
    """Another process is working on the same run."""


class OutOfMemory(RobustfrontError):
    """A batch does not fit into the memory of the device."""


class Interrupted(RobustfrontError):
    """The scheduler asked us to stop; the state is saved and the same command goes on from there."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: worth trying again


class ProcessLost(RobustfrontError):
    """Another process of a training on several devices has failed, and says why itself."""
