"""A transformer computed with 8-bit weights and activations by ONNX Runtime: quicker on CPUs of any age.

Activations are smoothed first (SmoothQuant, arXiv 2211.10438, equation 4 with the weights' part left out): a channel
that is large everywhere gives part of its range to the weights. Deviations: ranges are taken per token while running.
The layers whose input is wider than the model's states, the second of each MLP, stay in float32: most of the error
is theirs.
"""

import copy
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from gpt4image.errors import EncoderError

SMOOTHING = 0.5
INPUTS = ("input_ids", "attention_mask")
SLOWER = ["SkipLayerNormFusion"]
"""Optimizations of ONNX Runtime that take several times longer on a CPU than what they replace."""


def to_int8(model: Any, texts: Sequence[str]) -> nn.Module:
    """What computes the token embeddings of a SentenceTransformer with 8 bits.

    Args:
        model: in float32, on the CPU.
        texts: typical ones, to see the ranges of activations.

    Raises:
        EncoderError: ONNX Runtime is not installed, or cannot take this model.
    """
    if model.device.type != "cpu":
        raise EncoderError("--precision int8 is for CPUs; use bf16 here, or --device cpu")
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise EncoderError("--precision int8 needs ONNX Runtime; pip install 'gpt4image[onnx]'") from error
    transformer = model[0].model
    width = transformer.config.hidden_size
    smoothed = _smooth(transformer, _find_ranges(model, texts), width)
    with tempfile.TemporaryDirectory() as name:
        whole, small = Path(name) / "float32.onnx", Path(name) / "int8.onnx"
        try:
            _export(smoothed, whole)
            logging.disable(logging.WARNING)
            quantize_dynamic(
                whole,
                small,
                weight_type=QuantType.QUInt8,
                op_types_to_quantize=["MatMul", "Gemm"],
                per_channel=True,
                nodes_to_exclude=_wide_nodes(whole, width),
            )
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            options.log_severity_level = 3
            session = onnxruntime.InferenceSession(
                small, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER
            )
        except (RuntimeError, ValueError, TypeError, torch.onnx.OnnxExporterError) as error:
            reason = " ".join(str(error).split())[:200]
            raise EncoderError(f"--precision int8: ONNX Runtime cannot take this encoder ({reason})") from error
        finally:
            logging.disable(logging.NOTSET)
    return Int8Transformer(session, transformer.config)


class Int8Transformer(nn.Module):
    """A session in the place of a transformers model."""

    def __init__(self, session: Any, config: Any) -> None:
        super().__init__()
        self._session, self.config = session, config
        self.anchor = nn.Parameter(torch.empty(0), requires_grad=False)
        """Says on which device this is."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> BaseModelOutput:
        fed = dict(zip(INPUTS, (input_ids.numpy(), attention_mask.numpy()), strict=True))
        return BaseModelOutput(last_hidden_state=torch.from_numpy(self._session.run(None, fed)[0]))


class _SmoothedLinear(nn.Module):
    """A linear layer that computes the same from inputs divided by `scale` [D_in] and by each token's largest value."""

    def __init__(self, linear: nn.Linear, scale: torch.Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(linear.weight * scale), linear.bias
        self.inverse = nn.Parameter(1 / scale, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * self.inverse
        largest = x.abs().amax(dim=-1, keepdim=True).clamp_min(1e-6)
        y = nn.functional.linear(x / largest, self.weight) * largest
        return y if self.bias is None else y + self.bias


def _find_ranges(model: Any, texts: Sequence[str]) -> dict[str, torch.Tensor]:
    """The largest absolute value in each input channel of each linear layer, float32 [D_in]."""
    ranges: dict[str, torch.Tensor] = {}
    hooks = []
    for name, layer in model[0].model.named_modules():
        if isinstance(layer, nn.Linear):

            def note(_: nn.Module, inputs: tuple[torch.Tensor, ...], __: Any, name: str = name) -> None:
                seen = inputs[0].abs().flatten(0, -2).amax(dim=0)
                ranges[name] = torch.maximum(ranges.get(name, seen), seen)

            hooks.append(layer.register_forward_hook(note))
    model.encode(list(texts), show_progress_bar=False)
    for hook in hooks:
        hook.remove()
    return ranges


def _smooth(transformer: nn.Module, ranges: dict[str, torch.Tensor], width: int) -> nn.Module:
    smoothed = copy.deepcopy(transformer)
    for name, largest in ranges.items():
        parent, _, leaf = name.rpartition(".")
        layer = smoothed.get_submodule(name)
        if isinstance(layer, nn.Linear) and layer.in_features <= width:
            scale = (largest.clamp_min(1e-5) / largest.median().clamp_min(1e-5)) ** SMOOTHING
            setattr(smoothed.get_submodule(parent), leaf, _SmoothedLinear(layer, scale))
    return smoothed


class _LastHiddenState(nn.Module):
    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def _export(transformer: nn.Module, path: Path) -> None:
    import warnings

    example = torch.ones(2, 7, dtype=torch.int64), torch.ones(2, 7, dtype=torch.int64)
    sizes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _LastHiddenState(transformer).eval(),
            example,
            path,
            dynamo=True,
            input_names=list(INPUTS),
            dynamic_shapes=dict.fromkeys(INPUTS, sizes),
            external_data=False,
            verbose=False,
        )


def _wide_nodes(path: Path, width: int) -> list[str]:
    """Names of the matrix products whose weights take more than `width` inputs."""
    import onnx

    graph = onnx.load(path).graph
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type in ("MatMul", "Gemm")
        and any(name in weights and weights[name][0] > width for name in node.input)
    ]
