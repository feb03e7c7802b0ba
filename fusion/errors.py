"""What can go wrong between a request and its portrait.

    Exception
    ├── ValueError
    │   └── FusionError
    │       ├── InvalidRequest          a value that cannot be drawn
    │       │   ├── InvalidIdentity     an identity that names no face, or names it in two ways
    │       │   ├── InvalidWeights      weights that are negative, not finite, or sum to zero
    │       │   ├── InvalidEmbedding    not 512 finite numbers of some length
    │       │   └── InvalidSize         a size the model cannot draw
    │       └── Unsupported             this engine cannot do what was asked
    │           ├── IdentityUnsupported     no FaceID adapter
    │           └── FaceAnalysisMissing     no face pack to read pictures with
    └── RuntimeError
        ├── FusionCancelled             the request was cancelled
        ├── DrawingFailed               what was drawn is no picture
        ├── TaskExpired                 the request waited longer than it may live
        ├── EngineBusy                  the queue is full: try again later
        └── EngineClosed                the engine takes no more requests

The upper half is the user's to mend and is raised before anything is drawn; the lower half says
what became of a good request. Errors of `models` and `prompting` pass through as they are.
"""


class FusionError(ValueError):
    """Base of everything this package raises on bad input."""


class InvalidRequest(FusionError):
    """A value that cannot be drawn; says which, what was expected and what to do."""


class InvalidIdentity(InvalidRequest):
    """An identity that names no face, or names it in two ways."""


class InvalidWeights(InvalidRequest):
    """Weights that are negative, not finite, or sum to zero."""


class InvalidEmbedding(InvalidRequest):
    """An embedding that is not 512 finite numbers, or has no length."""


class InvalidSize(InvalidRequest):
    """A size that the model cannot draw."""


class Unsupported(FusionError):
    """This engine cannot do what was asked; another bundle or setting can."""


class IdentityUnsupported(Unsupported):
    """Identities were given, but no FaceID adapter is loaded."""


class FaceAnalysisMissing(Unsupported):
    """Pictures were given, but the engine has no face pack to read them with."""


class FusionCancelled(RuntimeError):
    """The request was cancelled; nothing was drawn to the end."""


class DrawingFailed(RuntimeError):
    """What was drawn is no picture: its numbers are not finite."""


class TaskExpired(RuntimeError):
    """The request waited in the queue for longer than its time to live."""


class EngineBusy(RuntimeError):
    """The queue is full; try again when a request has finished."""


class EngineClosed(RuntimeError):
    """The engine was closed and takes no more requests."""
