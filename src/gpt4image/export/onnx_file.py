"""The model as one ONNX file: `pixels` float32 [batch, C, H, W] in, `logits` float32 [batch, classes] out."""

import importlib.util
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gpt4image.errors import ModelError, SettingsError
from gpt4image.runs import RunManifest

FILE_NAME = "model.onnx"
EXAMPLE_BATCH = 3
"""Neither 1, which the exporter takes for a constant, nor the number of channels of any layer to be confused with."""


def require_onnx() -> None:
    """Checks that the extra is installed.

    Raises:
        SettingsError: it is not.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingsError(f"--onnx needs {', '.join(missing)}; install gpt4image[onnx]")


def write_onnx(model: nn.Module, manifest: RunManifest, path: Path) -> None:
    """Writes the model; its class names and preprocessing stand in the file's metadata as JSON.

    Raises:
        ModelError: PyTorch cannot export this architecture.
    """
    pixels = torch.randn(EXAMPLE_BATCH, *manifest.data_config["input_size"])
    # The fused attention kernels hand on tensors whose strides the exporter cannot follow (MaxViT).
    with sdpa_kernel(SDPBackend.MATH), _without_notices():
        try:
            program = torch.onnx.export(
                model.eval(),
                (pixels,),
                dynamo=True,
                verbose=False,
                input_names=["pixels"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = " ".join(str(error.__cause__ or error).split())[:200]
            raise ModelError(f"{manifest.model} cannot be written as ONNX ({reason}); export without --onnx") from error
    assert program is not None
    facts = {"classes": manifest.classes, "data_config": manifest.data_config}
    program.model.metadata_props.update({name: json.dumps(value) for name, value in facts.items()})
    program.save(path)


def load_onnx(path: Path) -> Callable[[torch.Tensor], np.ndarray]:
    """A function from pixels to logits that runs the file in onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(["logits"], {"pixels": pixels.numpy()})[0]


@contextmanager
def _without_notices() -> Iterator[None]:
    """The exporter's own progress and deprecation notices say nothing to the person who exports."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
