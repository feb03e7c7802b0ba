"""What is added to a pipeline's weights at run time, and taken off again: LoRA and FaceID."""

__all__: list[str] = []
