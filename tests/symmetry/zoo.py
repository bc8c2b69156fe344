"""Networks whose symmetries are known: every shape that the field merges, as small as it can be."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VGG(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 5, 3, padding=1),
            nn.BatchNorm2d(5),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(20, 6), nn.ReLU(True), nn.Dropout(), nn.Linear(6, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class Residual(nn.Module):
    """A basic block whose one ReLU is called twice, as torchvision's is."""

    def __init__(self, inputs: int, channels: int, stride: int, norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = norm(channels)
        self.relu = nn.ReLU(inplace=True)
        self.down = None
        if stride > 1 or inputs != channels:
            self.down = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.down is None else self.down(x)
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = norm(4)
        self.layer1 = nn.Sequential(Residual(4, 4, 1, norm), Residual(4, 4, 1, norm))
        self.layer2 = Residual(4, 6, 2, norm)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class PaddedShortcut(nn.Module):
    """Option A: every second position, zeros for the new channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 8, 3, 2, 1)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)))
        return self.fc(x.mean((2, 3)))


class Bottleneck(nn.Module):
    """1 x 1, depthwise, squeeze-and-excitation, 1 x 1, added to the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.expand = nn.Conv2d(4, 6, 1)
        self.bn = nn.BatchNorm2d(6)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.squeeze = nn.Conv2d(6, 2, 1)
        self.excite = nn.Conv2d(2, 6, 1)
        self.project = nn.Conv2d(6, 4, 1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        h = F.hardswish(self.depthwise(F.silu(self.bn(self.expand(x)))))
        h = h * torch.sigmoid(self.excite(F.relu(self.squeeze(h.mean((2, 3), keepdim=True)))))
        return self.fc((x + self.project(h)).amax((2, 3)))


class Grouped(nn.Module):
    """A convolution of two groups between plain ones (ResNeXt)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 6, 3)
        self.b = nn.Conv2d(6, 8, 3, groups=2)
        self.c = nn.Conv2d(8, 5, 1)
        self.fc = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c(F.relu(self.b(F.relu(self.a(x)))))
        return self.fc(F.relu(x).mean((2, 3)))


class GroupNormed(nn.Module):
    """Two groups of a norm: channels permute inside them, and the groups."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.GroupNorm(2, 6)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.norm(self.conv(x))).mean((2, 3)))


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv1 = nn.Conv2d(4, 3, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(7)
        self.conv2 = nn.Conv2d(7, 3, 3, padding=1)
        self.transition = nn.Conv2d(10, 5, 1)
        self.fc = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv0(x)
        x = torch.cat([x, self.conv1(F.relu(self.bn1(x)))], 1)
        x = torch.cat([x, self.conv2(F.relu(self.bn2(x)))], 1)
        return self.fc(self.transition(x).mean((2, 3)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(3, 4, 3, padding=1)
        self.down2 = nn.Conv2d(4, 6, 3, padding=1)
        self.up = nn.ConvTranspose2d(6, 5, 2, stride=2)
        self.join = nn.Conv2d(9, 4, 3, padding=1)
        self.out = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.down1(x))
        low = F.relu(self.down2(F.max_pool2d(skip, 2)))
        return self.out(F.relu(self.join(torch.cat([self.up(low), skip], 1))))


class SelfAttention(nn.Module):
    """One projection for queries, keys and values, cut in three; causal."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.qkv(x).split(C, dim=2)
        q, k, v = (each.view(B, T, self.heads, C // self.heads).transpose(1, 2) for each in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).contiguous().view(B, T, C))


class CausalTransformer(nn.Module):
    """Two blocks; the readout is the token embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(11, 8), nn.Embedding(7, 8)
        self.ln = nn.ModuleList(nn.LayerNorm(8) for _ in range(4))
        self.attention = nn.ModuleList(SelfAttention(8, 2) for _ in range(2))
        self.up = nn.ModuleList(nn.Linear(8, 12) for _ in range(2))
        self.down = nn.ModuleList(nn.Linear(12, 8) for _ in range(2))
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for i in range(2):
            x = x + self.attention[i](self.ln[2 * i](x))
            x = x + self.down[i](F.gelu(self.up[i](self.ln[2 * i + 1](x))))
        return self.head(x)


class TimmAttention(nn.Module):
    """All heads of queries, keys and values in one view, taken apart by index; explicit softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv, self.proj = nn.Linear(4, 8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        B, N, C = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, 2, C // 2).permute(2, 0, 3, 1, 4).unbind(0)
        scores = ((q * 0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.fc((x + self.proj((scores @ v).transpose(1, 2).reshape(B, N, C))).mean(1))


class HeadNorm(nn.Module):
    """Queries and keys normalised with one scale for all heads: their dimensions move alike in each."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(8, 3))
        self.norm = nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (each(x).unflatten(-1, (2, 4)).transpose(1, 2) for each in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(self.norm(q), self.norm(k), v)
        return self.o(y.transpose(1, 2).flatten(2)).mean(1)


class TorchEncoder(nn.Module):
    """torch's own transformer layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 10, batch_first=True, norm_first=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layer(self.embed(x)).mean(1))


class RMSNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class Llama(nn.Module):
    """Rotary positions, four query heads on two key heads, a gated MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 16), nn.Linear(16, 9, bias=False)
        self.norm1, self.norm2, self.norm3 = RMSNorm(16), RMSNorm(16), RMSNorm(16)
        self.q, self.k = nn.Linear(16, 16, bias=False), nn.Linear(16, 8, bias=False)
        self.v, self.o = nn.Linear(16, 8, bias=False), nn.Linear(16, 16, bias=False)
        self.gate, self.up = nn.Linear(16, 24, bias=False), nn.Linear(16, 24, bias=False)
        self.down = nn.Linear(24, 16, bias=False)
        for name in ("cos", "sin"):
            self.register_buffer(name, torch.rand(1, 1, 7, 4), persistent=False)

    def rotated(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=-1)
        return x * self.cos + torch.cat([-b, a], dim=-1) * self.sin

    def attention(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        q, k, v = (each(x).view(B, T, -1, 4).transpose(1, 2) for each in (self.q, self.k, self.v))
        q, k = self.rotated(q), self.rotated(k)
        k, v = (each[:, :, None].expand(B, 2, 2, T, 4).reshape(B, 4, T, 4) for each in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).reshape(B, T, -1))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        x = x + self.attention(self.norm1(x))
        h = self.norm2(x)
        return self.head(self.norm3(x + self.down(F.silu(self.gate(h)) * self.up(h))))


class ConvNeXt(nn.Module):
    """A depthwise convolution, then linear layers over channels moved last, with a scale per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 6, 2, 2), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm, self.up, self.down = nn.LayerNorm(6), nn.Linear(6, 10), nn.Linear(10, 6)
        self.gamma, self.fc = nn.Parameter(torch.ones(6)), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        h = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        h = self.gamma * self.down(F.gelu(self.up(h)))
        return self.fc((x + h.permute(0, 3, 1, 2)).mean([-2, -1]))


class Shuffled(nn.Module):
    """Channels dealt out among groups between two convolutions (ShuffleNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.b(F.relu(self.a(x))))
        B, C, H, W = x.shape
        return self.c(x.view(B, 2, 4, H, W).transpose(1, 2).reshape(B, C, H, W)).mean((2, 3))


class GatedMLP(nn.Module):
    """Gate and value in one projection, cut in two (SwiGLU)."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(5, 12), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * value)


class TwoBranches(nn.Module):
    """One encoder applied to two inputs; the readout sees both codes end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU())
        self.fc = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.cat([self.encoder(x[:, 0]), self.encoder(x[:, 1])], dim=1))


class Mixer(nn.Module):
    """Tokens are mixed by a layer whose outputs are tokens again, channels by another."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.tokens1, self.tokens2 = nn.Linear(4, 6), nn.Linear(5, 7), nn.Linear(7, 5)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        return self.fc((x + self.tokens2(F.gelu(self.tokens1(x.mT))).mT).mean(1))


class Sliced(nn.Module):
    """The first neurons go another way than the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 7), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        return self.b(h[:, 3:]) + h[:, :3].sum(1, keepdim=True)


class Odd(nn.Module):
    """cumsum along the neurons, and an operation without a rule."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.b(torch.cumsum(self.a(x), dim=1)))
        return self.d(torch.fft.fft(self.c(h)).real)


images, tokens = torch.randn(2, 3, 8, 8), torch.randn(2, 5, 4)

# name: (network, example input, {group: (neurons, blocks, layers)})
ZOO = {
    "vgg": (
        VGG,
        images,
        {"features.0": (4, 1, 1), "features.3": (5, 1, 1), "classifier.1": (6, 1, 1)},
    ),
    "resnet-batch": (
        lambda: ResNet(nn.BatchNorm2d),
        images,
        {
            "conv1": (4, 1, 3),
            "layer1.0.conv1": (4, 1, 1),
            "layer1.1.conv1": (4, 1, 1),
            "layer2.conv1": (6, 1, 1),
            "layer2.conv2": (6, 1, 2),
        },
    ),
    "resnet-group": (
        lambda: ResNet(lambda n: nn.GroupNorm(1, n)),
        images,
        {
            "conv1": (4, 1, 3),
            "layer1.0.conv1": (4, 1, 1),
            "layer1.1.conv1": (4, 1, 1),
            "layer2.conv1": (6, 1, 1),
            "layer2.conv2": (6, 1, 2),
        },
    ),
    # The channels that get zeros permute apart from those that get the old ones.
    "padded-shortcut": (
        PaddedShortcut,
        images,
        {"conv1": (4, 1, 2), "conv2": (2, 1, 1), "conv2#2": (2, 1, 1)},
    ),
    "bottleneck": (Bottleneck, images, {"stem": (4, 1, 2), "expand": (6, 1, 3), "squeeze": (2, 1, 1)}),
    "grouped": (Grouped, images, {"a": (6, 2, 1), "b": (8, 2, 1), "c": (5, 1, 1)}),
    "group-norm": (GroupNormed, images, {"conv": (6, 2, 1)}),
    "densenet": (
        DenseNet,
        images,
        {"conv0": (4, 1, 1), "conv1": (3, 1, 1), "conv2": (3, 1, 1), "transition": (5, 1, 1)},
    ),
    "unet": (UNet, images, {"down1": (4, 1, 1), "down2": (6, 1, 1), "up": (5, 1, 1), "join": (4, 1, 1)}),
    "causal-transformer": (
        CausalTransformer,
        torch.randint(11, (2, 7)),
        {
            "wte": (8, 1, 6),
            "attention.0.qkv": (8, 2, 1),
            "attention.0.qkv#2": (8, 2, 1),
            "up.0": (12, 1, 1),
            "attention.1.qkv": (8, 2, 1),
            "attention.1.qkv#2": (8, 2, 1),
            "up.1": (12, 1, 1),
        },
    ),
    "timm-attention": (TimmAttention, tokens, {"embed": (8, 1, 2), "qkv": (8, 2, 1), "qkv#2": (8, 2, 1)}),
    # The heads are a family of three: they move as blocks with the values, and alone with the queries.
    "head-norm": (HeadNorm, tokens, {"q": (2, 2, 2), "q#2": (4, 1, 2), "v": (8, 2, 1)}),
    "torch-encoder": (
        TorchEncoder,
        tokens,
        {
            "embed": (8, 1, 3),
            "layer.self_attn": (8, 2, 1),
            "layer.self_attn#2": (8, 2, 1),
            "layer.linear1": (10, 1, 1),
        },
    ),
    # Key heads move as blocks, with the values inside them; the query heads of a key head change places alike
    # in each block; rotations keep the dimensions of queries and keys in place.
    "llama": (
        Llama,
        torch.randint(9, (2, 7)),
        {"embed": (16, 1, 3), "q": (2, 2, 2), "q#2": (2, 1, 1), "v": (8, 2, 1), "gate": (24, 1, 2)},
    ),
    "convnext": (ConvNeXt, images, {"stem": (6, 1, 3), "up": (10, 1, 1)}),
    "shuffled": (Shuffled, images, {"a": (8, 2, 1), "b": (8, 2, 1)}),
    "gated-mlp": (GatedMLP, torch.randn(2, 5), {"up": (6, 1, 1)}),
    "two-branches": (TwoBranches, torch.randn(2, 2, 4), {"encoder.0": (6, 1, 1), "encoder.2": (5, 1, 1)}),
    "mixer": (Mixer, tokens, {"embed": (6, 1, 1), "tokens1": (7, 1, 1)}),
    "sliced": (Sliced, torch.randn(2, 4), {"a": (3, 1, 1), "a#2": (4, 1, 1)}),
    "odd": (Odd, torch.randn(2, 4), {"b": (5, 1, 1)}),
}
