"""Everything that is written and read: whole or not at all.

File formats are kept: what an earlier version wrote (`.keras`, `.onnx`, `.tflite`, checkpoints) loads and samples the
same. `tests/files/kept` holds one small file of each kind.
"""
