"""What can be wrong with an A/B run before anything is drawn."""


class ABError(ValueError):
    """Any of them; its message says what was wrong, what was expected and what to do."""


class ConfigInvalid(ABError):
    """The config is not one: not TOML, a table or a value that does not belong."""


class UnknownSetting(ConfigInvalid):
    """A setting no arm has."""


class ArmsAlike(ConfigInvalid):
    """Two arms that differ in nothing."""


class SuiteInvalid(ABError):
    """The suite is not one, or has nobody to draw."""


class UnknownMetric(ABError):
    """A metric nobody knows."""


class MetricUnavailable(ABError):
    """A metric that this bundle or this suite cannot give."""


class RunDiffers(ABError):
    """The folder holds another run than the config asks for."""


class RunBusy(ABError):
    """Another process is at work on the same run."""


class JournalInvalid(ABError):
    """The record of what was drawn is damaged in its middle."""
