"""InsightFace's own detector and recogniser, loaded from the two files of a pack that are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import FacePackRejected
from models.face_packs import EMBEDDING_SIZE, FacePack
from models.manifest import FacesSettings
from models.quiet import quiet_insightface

UInt8 = NDArray[np.uint8]


class Detector(Protocol):
    """InsightFace's SCRFD."""

    def detect(self, img: UInt8) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...


class Recogniser(Protocol):
    """InsightFace's ArcFaceONNX; `get` writes the embedding into the face."""

    def get(self, img: UInt8, face: Any) -> NDArray[np.float32]: ...
    def get_feat(self, imgs: UInt8) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class FaceNetworks:
    """A detector and a recogniser in memory."""

    detector: Detector
    recogniser: Recogniser

    def find(self, image: UInt8) -> list[Any]:
        """InsightFace's `Face` of every detection, as its FaceAnalysis gives them.

        image: uint8 BGR [height, width, 3].
        """
        from insightface.app.common import Face

        boxes, points = self.detector.detect(image)
        found = []
        for box, landmarks in zip(boxes, points, strict=True):
            face = Face(bbox=box[:4], kps=landmarks, det_score=box[4])
            self.recogniser.get(image, face)
            found.append(face)
        return found


def load_networks(
    pack: FacePack, settings: FacesSettings, providers: Sequence[str]
) -> FaceNetworks:
    """The networks of a pack, set up and tried on a black picture.

    Only two files are opened, by path: InsightFace is never asked for a name, which it would fetch.
    With several detector sizes it looks at the picture in each, and of detections that overlap by
    more than the threshold the one with the best score stays.
    Raises FacePackRejected.
    """
    fixed = pack.fixed_size
    if fixed is not None and settings.detector_sizes != (fixed,):
        raise FacePackRejected(
            f"{pack.detector.path} is a detector fixed to {fixed[0]}×{fixed[1]}, detector_sizes "
            "say otherwise; make them agree"
        )
    with quiet_insightface():
        import onnxruntime
        from insightface.model_zoo import get_model

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Spinning threads would take the cores from torch between two pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        sizes = list(settings.detector_sizes)
        file = pack.detector.path
        try:
            detector, recogniser = (
                get_model(
                    str(file := network.path.resolve()),
                    providers=list(providers),
                    sess_options=options,
                    static_shape_sessions=False,
                )
                for network in (pack.detector, pack.recogniser)
            )
            file = pack.detector.path
            detector.prepare(
                ctx_id=0,
                input_size=sizes[0] if len(sizes) == 1 else sizes,
                det_thresh=settings.score_threshold,
                nms_thresh=settings.overlap_threshold,
            )
            detector.detect(np.zeros((64, 64, 3), np.uint8))
            file = pack.recogniser.path
            recogniser.prepare(ctx_id=0)
            width = np.size(recogniser.get_feat(np.zeros((112, 112, 3), np.uint8)))
        except MemoryError:
            raise
        except Exception as error:
            # AssertionError, ONNX Runtime's and protobuf's own: all mean an unusable file.
            reason = str(error).split("\n")[0] or type(error).__name__
            raise FacePackRejected(
                f"{file} does not work in ONNX Runtime: {reason}; fetch the pack again"
            ) from error
    if width != EMBEDDING_SIZE:
        raise FacePackRejected(
            f"{pack.recogniser.path} is a recogniser of {width} outputs, FaceID takes "
            f"{EMBEDDING_SIZE}; choose another pack"
        )
    return FaceNetworks(detector, recogniser)
