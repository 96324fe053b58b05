"""Exports trained models to ONNX and TFLite. No file appears unless it was read back and agreed with Keras.

`python -m keras_gen export RUN`, or `export.onnx.export(model, folder)` and `export.tflite.export(model, folder)`.
"""
