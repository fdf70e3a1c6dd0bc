"""A transformer computed with 8-bit weights and activations by ONNX Runtime: quicker on CPUs of any age.

Activations are smoothed first (SmoothQuant, arXiv 2211.10438, equation 4 with the weights' part left out): a channel
that is large everywhere gives part of its range to the weights. Deviations: ranges are taken from each batch while
running, and the kinds of layers that move vectors most for their size stay in float32.
"""

import copy
import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from gpt4image.errors import EncoderError

SMOOTHING = 0.65
MOST_MOVED = 0.0006
"""How far (1 - cosine) layers computed with 8 bits may move a calibration text's vector, summed over their kinds."""
MATRIX_PRODUCTS = ("MatMul", "Gemm")
SCOPES = "pkg.torch.onnx.name_scopes"
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
    layers = _smooth(transformer, _find_ranges(model, texts))
    chosen = _choose_layers(model, layers, texts)
    smoothed = copy.deepcopy(transformer)
    for layer in chosen:
        smoothed.set_submodule(layer, layers[layer])
    with tempfile.TemporaryDirectory() as name:
        whole, small = Path(name) / "float32.onnx", Path(name) / "int8.onnx"
        try:
            _export(smoothed, whole)
            logging.disable(logging.WARNING)
            quantize_dynamic(
                whole,
                small,
                weight_type=QuantType.QUInt8,
                op_types_to_quantize=list(MATRIX_PRODUCTS),
                per_channel=True,
                nodes_to_quantize=_nodes_of(whole, chosen),
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
    """A linear layer that computes the same from inputs divided by `scale` [D_in].

    Attributes:
        rounds: whether inputs and weights are rounded as 8 bits will round them.
    """

    def __init__(self, linear: nn.Linear, scale: torch.Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(linear.weight * scale), linear.bias
        self.inverse = nn.Parameter(1 / scale, requires_grad=False)
        self.rounds = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * self.inverse
        if self.rounds:
            rounded = _round(x.reshape(1, -1)).reshape(x.shape)
            return nn.functional.linear(rounded, _round(self.weight), self.bias)
        return nn.functional.linear(x, self.weight, self.bias)


def _round(x: torch.Tensor) -> torch.Tensor:
    """Each row [n, d] rounded to 256 steps between its least and its largest value, 0 among them."""
    low, high = x.amin(dim=1, keepdim=True).clamp_max(0), x.amax(dim=1, keepdim=True).clamp_min(1e-12)
    step = (high - low) / 255
    zero = (-low / step).round()
    return ((x / step + zero).round().clamp(0, 255) - zero) * step


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


def _smooth(transformer: nn.Module, ranges: dict[str, torch.Tensor]) -> dict[str, _SmoothedLinear]:
    """What takes the place of each linear layer, by its name."""
    smoothed = {}
    for name, largest in ranges.items():
        linear = transformer.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        scale = (largest.clamp_min(1e-5) / largest.median().clamp_min(1e-5)) ** SMOOTHING
        smoothed[name] = _SmoothedLinear(linear, scale)
    return smoothed


def _choose_layers(model: Any, layers: dict[str, _SmoothedLinear], texts: Sequence[str]) -> list[str]:
    """Names of the layers to compute with 8 bits: kinds that move vectors least for their size, while the sum is small.

    A kind is the same layer of each block; what each does alone is measured, and such small errors add up.
    """
    kinds: dict[str, list[str]] = {}
    for name in layers:
        kinds.setdefault(re.sub(r"\.\d+\.", ".", name), []).append(name)
    exact = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    moved: dict[str, float] = {}
    for kind, names in kinds.items():
        with _in_place(model[0].model, {name: layers[name] for name in names}):
            rounded = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        moved[kind] = 1 - float((exact * rounded).sum(axis=1).min())
    chosen: list[str] = []
    total = 0.0
    for kind in sorted(kinds, key=lambda kind: moved[kind] / sum(layers[name].weight.numel() for name in kinds[kind])):
        if total + moved[kind] <= MOST_MOVED:
            total += moved[kind]
            chosen += kinds[kind]
    return chosen


@contextmanager
def _in_place(transformer: nn.Module, layers: dict[str, _SmoothedLinear]) -> Iterator[None]:
    """Layers that round, in the place of the model's own while the block runs."""
    own = {name: transformer.get_submodule(name) for name in layers}
    try:
        for name, layer in layers.items():
            layer.rounds = True
            transformer.set_submodule(name, layer)
        yield
    finally:
        for name, linear in own.items():
            layers[name].rounds = False
            transformer.set_submodule(name, linear)


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


def _nodes_of(path: Path, layers: Sequence[str]) -> list[str]:
    """Names of the matrix products of some layers; the exporter notes from which layer a node is."""
    import onnx

    wanted = tuple(f"'transformer.{name}'" for name in layers)
    return [
        node.name
        for node in onnx.load(path).graph.node
        if node.op_type in MATRIX_PRODUCTS
        and any(name in note.value for note in node.metadata_props if note.key == SCOPES for name in wanted)
    ]
