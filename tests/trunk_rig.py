"""Pretrained trunks as others write them down, in plain torch and with random weights, and files of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_hil.data.specs import Array

Named = dict[str, Tensor]


def _same(x: Tensor, size: int, stride: int, value: float = 0.0) -> Tensor:
    """Pad as TensorFlow's SAME does: as little as there must be, and the odd one behind."""
    total = max(0, (-(-x.shape[-1] // stride) - 1) * stride + size - x.shape[-1])
    return functional.pad(x, (total // 2, total - total // 2) * 2, value=value)


class _SameConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int, stride: int) -> None:
        super().__init__()
        self.size, self.stride = size, stride
        self.conv = nn.Conv2d(inputs, outputs, size, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(_same(x, self.size, self.stride))


class _Stage10(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _SameConv(inputs, outputs, 3, stride), nn.GroupNorm(4, outputs)
        self.conv2, self.norm2 = _SameConv(outputs, outputs, 3, 1), nn.GroupNorm(4, outputs)
        self.shortcut = None
        if inputs != outputs:
            self.shortcut = nn.Sequential(_SameConv(inputs, outputs, 1, stride), nn.GroupNorm(4, outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        return functional.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet10(nn.Module):
    """By the names of the port on Hugging Face."""

    def __init__(self) -> None:
        super().__init__()
        self.embedder = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.GroupNorm(4, 64))
        widths = (64, 64, 128, 256, 512)
        stages = [_Stage10(widths[i], widths[i + 1], 1 if i == 0 else 2) for i in range(4)]
        self.encoder = nn.ModuleDict({"stages": nn.ModuleList(stages)})

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(_same(functional.relu(self.embedder(x)), 3, 2, -float("inf")), 3, 2)
        for stage in self.encoder["stages"]:
            x = stage(x)
        return x.flatten(2).transpose(1, 2)


class _Block18(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """By the names of timm and torchvision."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        for i in range(4):
            first = _Block18(widths[i], widths[i + 1], 1 if i == 0 else 2)
            setattr(self, f"layer{i + 1}", nn.Sequential(first, _Block18(widths[i + 1], widths[i + 1], 1)))
        self.fc = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
        return x.flatten(2).transpose(1, 2)


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 64
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, 64)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        mixed = torch.softmax(q @ k.transpose(-1, -2) / 8.0, -1) @ v
        return self.proj(mixed.transpose(1, 2).flatten(2))


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * x


class _VitBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn, self.ls1, self.ls2 = _Attention(width), _Scale(width), _Scale(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(x)))))


class Dinov2(nn.Module):
    """By the names of timm; `registers` are added where there are any, position embeddings are of a 5x5 grid."""

    def __init__(self, width: int = 64, depth: int = 2, registers: int = 0, grid: int = 4) -> None:
        super().__init__()
        self.grid, self.registers = grid, registers
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + 25, width))
        if registers:
            self.reg_token = nn.Parameter(torch.zeros(1, registers, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, 14, 14)})
        self.blocks = nn.Sequential(*(_VitBlock(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed["proj"](x)
        side, width = patches.shape[-1], patches.shape[1]
        grid = self.pos_embed[:, 1:].unflatten(1, (5, 5)).permute(0, 3, 1, 2)
        if side != 5:
            way: dict[str, Any] = {"mode": "bicubic", "align_corners": False, "antialias": self.registers > 0}
            grid = functional.interpolate(grid, (side, side), **way)
        tokens = [self.cls_token + self.pos_embed[:, :1]] + ([self.reg_token] if self.registers else [])
        prefix = [token.expand(len(x), -1, -1) for token in tokens]
        x = self.norm(self.blocks(torch.cat([*prefix, (patches + grid).flatten(2).transpose(1, 2)], 1)))
        after = x[:, 1 + self.registers :].transpose(1, 2).reshape(-1, width, side, side)
        cells = functional.adaptive_avg_pool2d(after, self.grid).flatten(2).transpose(1, 2)
        return torch.cat([x[:, :1], cells], 1)


def random_weights(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and every statistic a value that matters; returns the model in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if not value.dtype.is_floating_point:
            continue
        if value.ndim > 1:
            fan = value[0].numel() if value.ndim != 3 else 4
            value.normal_(0, (2 / fan) ** 0.5, generator=generator)
        elif name.endswith(("running_var", "weight", "gamma")):
            value.uniform_(0.5, 1.5, generator=generator)
        else:
            value.normal_(0, 0.1, generator=generator)
    return model.eval()


def save(path: Path, arrays: Mapping[str, Tensor]) -> str:
    """Write a safetensors file; returns its path as text."""
    safetensors.torch.save_file({name: value.contiguous() for name, value in arrays.items()}, path)
    return str(path)


def expected(model: nn.Module, images: Array) -> Array:
    """What the model makes of uint8 images (B, H, W, 3) after the usual scaling, (B, places, channels)."""
    scaled = torch.from_numpy(images).float() / 255
    scaled = (scaled - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        made: Array = model(scaled.permute(0, 3, 1, 2)).numpy()
    return made


def some_images(count: int, side: int) -> Array:
    """Random images."""
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def flax_names(arrays: Named) -> Named:
    """ResNet-10 by the names and kernels of HIL-SERL's own file."""
    pairs = {"embedder.0": "conv_init", "embedder.1": "norm_init"}
    for i in range(4):
        stage, block = f"encoder.stages.{i}", f"ResNetBlock_{i}"
        pairs |= {f"{stage}.shortcut.0.conv": f"{block}/conv_proj", f"{stage}.shortcut.1": f"{block}/norm_proj"}
        for j in (1, 2):
            pairs |= {
                f"{stage}.conv{j}.conv": f"{block}/Conv_{j - 1}",
                f"{stage}.norm{j}": f"{block}/MyGroupNorm_{j - 1}",
            }
    made = {}
    for name, value in arrays.items():
        stem, part = name.rsplit(".", 1)
        if value.ndim == 4:
            made[f"{pairs[stem]}/kernel"] = value.permute(2, 3, 1, 0)
        else:
            made[f"{pairs[stem]}/{'scale' if part == 'weight' else 'bias'}"] = value
    return made


def hugging_face_18(arrays: Named) -> Named:
    """ResNet-18 by the names of Hugging Face's classifier."""
    made = {}
    for name, value in arrays.items():
        new = name.replace("fc.", "classifier.1.")
        new = new.replace("downsample.0", "shortcut.convolution").replace("downsample.1", "shortcut.normalization")
        for i in range(4):
            new = new.replace(f"layer{i + 1}.", f"encoder.stages.{i}.layers.")
        if new.startswith("encoder"):
            for j in (1, 2):
                new = new.replace(f".conv{j}.", f".layer.{j - 1}.convolution.")
                new = new.replace(f".bn{j}.", f".layer.{j - 1}.normalization.")
        new = new.replace("conv1.", "embedder.embedder.convolution.") if new.startswith("conv1") else new
        new = new.replace("bn1.", "embedder.embedder.normalization.") if new.startswith("bn1") else new
        made[new if new.startswith("classifier") else f"resnet.{new}"] = value
    return made


def hugging_face_vit(arrays: Named) -> Named:
    """DINOv2 by the names of Hugging Face."""
    pairs = {
        "cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings",
        "reg_token": "embeddings.register_tokens", "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "blocks.": "encoder.layer.", "attn.proj": "attention.output.dense", "ls1.gamma": "layer_scale1.lambda1",
        "ls2.gamma": "layer_scale2.lambda1",
    }  # fmt: skip
    made: Named = {"embeddings.mask_token": torch.zeros(1, 64)}
    for name, value in arrays.items():
        new = name.replace("norm.", "layernorm.") if name.startswith("norm.") else name
        for ours, theirs in pairs.items():
            new = new.replace(ours, theirs)
        if "attn.qkv" in new:
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                made[new.replace("attn.qkv", f"attention.attention.{part}")] = piece
        else:
            made[new] = value
    return made
