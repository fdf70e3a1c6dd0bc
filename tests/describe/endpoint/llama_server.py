"""A real llama.cpp server on loopback with random weights, a few thousand of them, with or without its vision part.

    python llama_server.py FOLDER sees|blind [PORT]

builds the model in FOLDER with the package `gguf`, serves it with the package `xllamacpp` and prints its URL.
"""

import sys
import time
from pathlib import Path

import numpy as np

WIDTH, HEADS, LAYERS, HIDDEN = 64, 4, 2, 128
IMAGE, PATCH, CONTEXT = 32, 8, 1024
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "


def write_language_model(path: Path) -> None:
    """A llama of two layers whose tokens are the bytes."""
    import gguf

    tokens = [
        b"<unk>",
        b"<s>",
        b"</s>",
        *(f"<0x{n:02X}>".encode() for n in range(256)),
        *map(bytes, ([n] for n in range(97, 123))),
    ]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * 26
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)
    random = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        is_norm = "norm" in name
        values = np.ones(shape) if is_norm else random.normal(0, 0.2, shape)
        writer.add_tensor(f"{name}.weight", values.astype(np.float32))

    add("token_embd", len(tokens), WIDTH)
    add("output", len(tokens), WIDTH)
    add("output_norm", WIDTH)
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{name}", WIDTH, WIDTH)
        add(f"blk.{layer}.ffn_gate", HIDDEN, WIDTH)
        add(f"blk.{layer}.ffn_up", HIDDEN, WIDTH)
        add(f"blk.{layer}.ffn_down", WIDTH, HIDDEN)
        add(f"blk.{layer}.attn_norm", WIDTH)
        add(f"blk.{layer}.ffn_norm", WIDTH)
    _close(writer)


def write_projector(path: Path) -> None:
    """A CLIP tower of two layers, and LLaVA's two linear layers into the language model."""
    import gguf

    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", True)
    for name, value in {
        "image_size": IMAGE,
        "patch_size": PATCH,
        "embedding_length": WIDTH,
        "feed_forward_length": HIDDEN,
        "projection_dim": WIDTH,
        "block_count": LAYERS,
        "attention.head_count": HEADS,
    }.items():
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    random = np.random.default_rng(1)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.normal(0, 0.1, shape).astype(np.float32))

    add("v.class_embd", WIDTH)
    add("v.patch_embd.weight", WIDTH, 3, PATCH, PATCH)
    add("v.position_embd.weight", (IMAGE // PATCH) ** 2 + 1, WIDTH)
    layers = [f"v.blk.{layer}" for layer in range(LAYERS)]
    norms = ["v.pre_ln", "v.post_ln", *(f"{layer}.{name}" for layer in layers for name in ("ln1", "ln2"))]
    squares = [f"{layer}.attn_{name}" for layer in layers for name in ("q", "k", "v", "out")] + ["mm.0", "mm.2"]
    for name in norms:
        add(f"{name}.weight", WIDTH)
        add(f"{name}.bias", WIDTH)
    for name in squares:
        add(f"{name}.weight", WIDTH, WIDTH)
        add(f"{name}.bias", WIDTH)
    for layer in layers:
        add(f"{layer}.ffn_up.weight", HIDDEN, WIDTH)
        add(f"{layer}.ffn_up.bias", HIDDEN)
        add(f"{layer}.ffn_down.weight", WIDTH, HIDDEN)
        add(f"{layer}.ffn_down.bias", WIDTH)
    _close(writer)


def _close(writer) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(folder: Path, eyes: str, port: int = 0) -> None:
    import xllamacpp

    write_language_model(folder / "tiny.gguf")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder / "tiny.gguf")
    if eyes == "sees":
        write_projector(folder / "mmproj.gguf")
        parameters.mmproj.path = str(folder / "mmproj.gguf")
    parameters.n_ctx, parameters.n_parallel, parameters.port = CONTEXT, 1, port
    parameters.warmup = False
    server = xllamacpp.Server(parameters)
    print(f"{server.listening_address}/v1", flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
