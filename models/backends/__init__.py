"""Other ways to run the denoiser and the decoder: compiled, ONNX Runtime, TensorRT.

One graph is exported (`graph`), built by one of the `backend`s into an engine, gated against eager
(`gate`), kept in a directory by digest (`store`), and called in eager's place (`engines`).
"""
