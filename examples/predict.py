"""Classifies photos with an exported model: by timm, or by onnxruntime without PyTorch.

python examples/predict.py EXPORT PHOTO ...
python examples/predict.py EXPORT/model.onnx PHOTO ...
"""

import json
import sys

from PIL import Image


def load_timm(folder):
    import timm
    import torch

    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    classes = model.pretrained_cfg["label_names"]
    return classes, torch.inference_mode()(lambda photo: model(transform(photo)[None])[0].numpy())


def load_onnx(file):
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    facts = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    config = facts["data_config"]
    side, mean, std = config["input_size"][-1], np.float32(config["mean"]), np.float32(config["std"])
    interpolation = Image.Resampling[config["interpolation"].upper()]

    def classify(photo):
        shorter = int(side / config["crop_pct"])
        photo = photo.resize([length * shorter // min(photo.size) for length in photo.size], interpolation)
        left, top = (round((length - side) / 2) for length in photo.size)
        pixels = np.asarray(photo.crop((left, top, left + side, top + side)), np.float32) / 255
        return session.run(None, {"pixels": ((pixels - mean) / std).transpose(2, 0, 1)[None]})[0][0]

    return facts["classes"], classify


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    classes, classify = (load_onnx if sys.argv[1].endswith(".onnx") else load_timm)(sys.argv[1])
    for name in sys.argv[2:]:
        print(name, classes[classify(Image.open(name).convert("RGB")).argmax()])
