"""StyleGAN2's networks and step in PyTorch, on 32x32 images: what `large.py` times `fit` against, in a process beside.

It reads numbers of steps from its standard input, a line each, takes so many, and answers with the seconds.
"""

import math
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

ROOT, SIDE, LATENT, BASE, LARGEST, DEPTH = math.sqrt(2), 32, 32, 512, 32, 4
SIZES = (4, 8, 16, 32)
FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0])
FILTER = torch.outer(FILTER, FILTER) / FILTER.sum() ** 2


def channels(size):
    """Returns the channels of maps of a side."""
    return min(BASE // size, LARGEST)


def filtered(x, padding, up=1, down=1):
    """Filters maps; `up` sets zeros between pixels, `down` leaves pixels out."""
    if up == 2:
        rows, count, height, width = x.shape
        x = functional.pad(x.reshape(rows, count, height, 1, width, 1), [0, 1, 0, 0, 0, 1])
        x = x.reshape(rows, count, 2 * height, 2 * width)
    x = functional.pad(x, [padding[0], padding[1]] * 2)
    kernel = (FILTER * up**2).expand(x.shape[1], 1, 4, 4)
    return functional.conv2d(x, kernel, stride=down, groups=x.shape[1])


class Dense(nn.Module):
    """Dense layer with an equalized learning rate."""

    def __init__(self, inputs, outputs, multiplier=1.0, bias=0.0, active=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / multiplier))
        self.scale, self.multiplier, self.active = multiplier / math.sqrt(inputs), multiplier, active

    def forward(self, x):
        """Returns the layer's output (B, outputs)."""
        x = functional.linear(x, self.weight * self.scale, self.bias * self.multiplier)
        return functional.leaky_relu(x, 0.2) * ROOT if self.active else x


class Conv(nn.Module):
    """Convolution with an equalized learning rate."""

    def __init__(self, inputs, outputs, side, stride=1, gain=ROOT, bias=True, padding=None):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.stride, self.gain = 1 / math.sqrt(inputs * side**2), stride, gain
        self.padding = side // 2 if padding is None else padding

    def forward(self, x):
        """Returns the layer's maps."""
        x = functional.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)
        return (x if self.bias is None else functional.leaky_relu(x, 0.2)) * self.gain


class Modulated(nn.Module):
    """Modulated convolution, of scaled maps."""

    def __init__(self, inputs, outputs, side=3, up=1, demodulate=True):
        super().__init__()
        self.affine = Dense(LATENT, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.scale, self.up, self.demodulate, self.side = 1 / math.sqrt(inputs * side**2), up, demodulate, side

    def forward(self, x, w):
        """Returns maps, whose kernels w scales."""
        style, weight = self.affine(w), self.weight * self.scale
        x = x * style[:, :, None, None]
        if self.up == 2:
            x = functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = filtered(x, (1, 1)) * 4
        else:
            x = functional.conv2d(x, weight, padding=self.side // 2)
        if self.demodulate:
            power = weight.square().sum((2, 3)).T
            x = x * torch.rsqrt(style.square() @ power + 1e-8)[:, :, None, None]
        return x


class Synthesis(nn.Module):
    """Images of styles and noise, summed over sizes."""

    def __init__(self):
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, channels(4), 4, 4))
        self.convolutions, self.colors = nn.ModuleList(), nn.ModuleList()
        self.strengths, self.biases, self.tints = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        before = channels(4)
        for size in SIZES:
            for up in (2, 1) if size > 4 else (1,):
                self.convolutions.append(Modulated(before, channels(size), up=up))
                self.strengths.append(nn.Parameter(torch.zeros(())))
                self.biases.append(nn.Parameter(torch.zeros(channels(size))))
                before = channels(size)
            self.colors.append(Modulated(before, 1, 1, demodulate=False))
            self.tints.append(nn.Parameter(torch.zeros(1)))

    def forward(self, styles):
        """Returns the images of styles (B, n, d)."""
        x, image, used = self.constant.expand(len(styles), -1, -1, -1), None, 0
        for number, size in enumerate(SIZES):
            for _ in range(2 if size > 4 else 1):
                x = self.convolutions[used](x, styles[:, used])
                x = x + torch.randn(len(x), 1, size, size) * self.strengths[used]
                x = functional.leaky_relu(x + self.biases[used][:, None, None], 0.2) * ROOT
                used += 1
            own = self.colors[number](x, styles[:, used]) + self.tints[number][:, None, None]
            image = own if image is None else filtered(image, (2, 1), up=2) + own
        return image


class Judge(nn.Module):
    """Logits of images, by residual blocks."""

    def __init__(self):
        super().__init__()
        self.first = Conv(1, channels(SIDE), 1)
        self.blocks = nn.ModuleList()
        for size in SIZES[:0:-1]:
            a, b = channels(size), channels(size // 2)
            skip = Conv(a, b, 1, gain=1 / ROOT, bias=False, padding=0)
            self.blocks.append(nn.ModuleList([Conv(a, a, 3), Conv(a, b, 3, 2, 1.0, padding=0), skip]))
        self.last, width = Conv(channels(4) + 1, channels(4), 3), channels(4)
        self.dense, self.logit = Dense(16 * width, width, active=True), Dense(width, 1)

    def forward(self, x):
        """Returns the logits of images."""
        x = self.first(x)
        for one, two, skip in self.blocks:
            x = skip(filtered(x, (1, 1), down=2)) + two(filtered(one(x), (2, 2)))
        groups = x.reshape(4, -1, *x.shape[1:])
        spread = torch.sqrt(groups.var(0, unbiased=False) + 1e-8).mean((1, 2, 3))
        x = torch.cat([x, spread.repeat(4)[:, None, None, None].expand(-1, 1, 4, 4)], 1)
        return self.logit(self.dense(self.last(x).flatten(1)))


def main() -> None:
    """Answers until its standard input ends."""
    batch, gamma, threads = (float(word) for word in sys.argv[1:])
    batch = int(batch)
    torch.set_num_threads(int(threads))
    mapping = nn.Sequential(*[Dense(LATENT, LATENT, 0.01, active=True) for _ in range(DEPTH)])
    synthesis, judge, count = Synthesis(), Judge(), 2 * len(SIZES)
    painters = [*mapping.parameters(), *synthesis.parameters()]
    averages = [one.detach().clone() for one in painters]
    adam = [torch.optim.Adam(group, 1e-3, (0.0, 0.99), 1e-8) for group in (painters, list(judge.parameters()))]
    data = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1500, 1, SIDE, SIDE)).astype(np.float32))
    state = {"step": 0, "length": torch.zeros(())}
    print(sum(one.numel() for one in painters), sum(one.numel() for one in judge.parameters()), flush=True)

    def latents(rows):
        z = torch.randn(rows, LATENT)
        return mapping(z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))

    def step():
        image = data[torch.randint(len(data), (batch,))]
        styles = latents(batch)[:, None].expand(-1, count, -1)
        fake = synthesis(styles)
        real_logits, fake_logits = judge(image), judge(fake)
        g_loss = functional.softplus(-fake_logits).mean()
        d_loss = functional.softplus(fake_logits).mean() + functional.softplus(-real_logits).mean()
        if state["step"] % 16 == 0:
            seen = image.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(judge(seen).sum(), seen, create_graph=True)
            d_loss = d_loss + 16 * gamma / 2 * slope.square().sum((1, 2, 3)).mean()
        if state["step"] % 4 == 0:
            half = styles[::2]
            made = synthesis(half)
            along = (made * torch.randn_like(made)).sum() / SIDE
            (slope,) = torch.autograd.grad(along, half, create_graph=True)
            lengths = slope.square().sum(2).mean(1).sqrt()
            known = state["length"]
            state["length"] = (known + 0.01 * (lengths.mean() - known)).detach()
            g_loss = g_loss + 4 * 2 * (lengths - state["length"]).square().mean()
        parts = ((g_loss, painters, adam[0], True), (d_loss, list(judge.parameters()), adam[1], False))
        found = [
            torch.autograd.grad(loss, group, retain_graph=keep, allow_unused=True) for loss, group, _, keep in parts
        ]
        for (_, group, optimizer, _), gradients in zip(parts, found, strict=True):
            for one, gradient in zip(group, gradients, strict=True):
                one.grad = gradient
            optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, [one.detach() for one in painters], 1 - 0.998)
        state["step"] += 1

    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
