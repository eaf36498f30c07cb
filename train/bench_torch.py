"""One training step of tandem's network in PyTorch, for `make bench`: the layers of net.go, the batch of the
default recipe, Adam. It prints the milliseconds of each step. Debian's python3-torch runs it.

usage: bench_torch.py STEPS THREADS FACES SOUNDS ROWS
"""
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

STEPS, THREADS, FACES, SOUNDS, ROWS = (int(a) for a in sys.argv[1:6])
T, SIZE, SAMPLES, HOP, FRAME, MELS = 8, 48, 40960, 256, 512, 64
GAIN = 1.7139588594436646
torch.set_num_threads(THREADS)
torch.manual_seed(1)


class Conv(nn.Module):
    """A convolution with scaled weight standardization."""

    def __init__(self, inside, out, side, stride, scale):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, inside, side, side))
        self.gain = nn.Parameter(torch.ones(out, 1, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out))
        self.stride, self.pad, self.scale = stride, (side - stride) // 2, scale

    def forward(self, x):
        fan = self.weight[0].numel()
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        var = self.weight.var((1, 2, 3), unbiased=False, keepdim=True)
        w = (self.weight - mean) * self.gain * (self.scale / fan**0.5) / torch.sqrt(var + 1e-5)
        return F.conv2d(x, w, self.bias, stride=self.stride, padding=self.pad)


def residual(conv, x):
    return (x + F.relu(conv(x))) * 0.5**0.5


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        conv = lambda i, o: Conv(i, o, 3, 1, GAIN)
        merge = lambda i, o: Conv(i, o, 2, 2, GAIN)
        self.f0, self.f1, self.f1a = Conv(4, 32, 3, 1, 1), merge(32, 64), conv(64, 64)
        self.f2, self.f2a, self.f2b, self.f3 = merge(64, 128), conv(128, 128), conv(128, 128), merge(128, 160)
        self.fout = nn.Linear(9 * 160, 160)
        self.mel = nn.Parameter(torch.rand(FRAME // 2 + 1, MELS))
        self.register_buffer("basis", torch.randn(FRAME, 2 * (FRAME // 2 + 1)) / FRAME**0.5)
        self.s0, self.s1, self.s2 = Conv(4, 24, 3, 1, 1), merge(24, 48), merge(48, 96)
        self.s2a, self.s2b = conv(96, 96), conv(96, 96)
        self.sstep, self.sattn, self.sout = nn.Linear(8 * 96, 128), nn.Linear(128, 1), nn.Linear(256, 128)
        self.vstep, self.vattn = nn.Linear(320, 160), nn.Linear(160, 1)
        self.joint = nn.Linear(160 + 128 + 2, 128)
        self.heads = nn.ModuleList(nn.Linear(i, o) for o in (7, 2) for i in (160, 128, 128))

    def face(self, x):
        x = F.pixel_unshuffle(x.float().permute(0, 3, 1, 2) * (2 / 255) - 1, 2)
        x = F.relu(self.f1(F.relu(self.f0(x))))
        x = F.relu(self.f2(residual(self.f1a, x)))
        x = residual(self.f2b, residual(self.f2a, x))
        x = F.dropout(F.relu(self.f3(x)).flatten(1), 0.3)
        return F.relu(self.fout(x))

    def sound(self, x):
        n = SAMPLES // HOP
        x = x / torch.sqrt((x * x).mean(1, keepdim=True) + 1e-8)
        x = F.pad(x, (HOP // 2, HOP // 2)).view(-1, n + 1, HOP)
        x = torch.cat([x[:, :-1], x[:, 1:]], 2).reshape(-1, FRAME) @ self.basis
        bins = FRAME // 2 + 1
        x = (x[:, :bins] ** 2 + x[:, bins:] ** 2) @ (self.mel * self.mel)
        x = ((x + 1e-5).log() + 4) * 0.25
        x = F.pixel_unshuffle(x.view(-1, 1, n, MELS), 2)
        x = F.relu(self.s2(F.relu(self.s1(F.relu(self.s0(x))))))
        x = residual(self.s2b, residual(self.s2a, x))
        x = F.dropout(x.permute(0, 2, 3, 1).flatten(2), 0.3)
        x = F.relu(self.sstep(x))
        attended = (x * self.sattn(x).softmax(1)).sum(1)
        return F.relu(self.sout(torch.cat([attended, x.mean(1)], 1)))

    def forward(self, crops, sounds, pick, hear):
        faces, voices = self.face(crops)[pick], self.sound(sounds)[hear]
        motion = F.pad(faces[:, 1:] - faces[:, :-1], (0, 0, 1, 0))
        x = F.relu(self.vstep(torch.cat([faces, motion], 2)))
        video = (x * self.vattn(x).softmax(1)).sum(1)
        ones = torch.ones(len(video), 2)
        joint = F.dropout(F.relu(self.joint(torch.cat([video, voices, ones], 1))), 0.3)
        h = self.heads
        return h[0](video) + h[1](voices) + h[2](joint), h[3](video) + h[4](voices) + h[5](joint)


net, w = Net(), nn.Parameter(torch.zeros(2))
adam = torch.optim.AdamW(list(net.parameters()) + [w], lr=1e-3, weight_decay=0.02)
crops = torch.randint(0, 255, (FACES, SIZE, SIZE, 1), dtype=torch.uint8)
sounds = torch.randn(SOUNDS, SAMPLES)
pick, hear = torch.randint(0, FACES, (ROWS, T)), torch.randint(0, SOUNDS, (ROWS,))
emotion, gender = torch.randint(0, 7, (ROWS,)), torch.randint(0, 2, (ROWS,))
for _ in range(STEPS):
    start = time.perf_counter()
    e, g = net(crops, sounds, pick, hear)
    loss = (w.softmax(0) * torch.stack([F.cross_entropy(e, emotion), F.cross_entropy(g, gender)])).sum()
    adam.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 2)
    adam.step()
    print(f"{1000 * (time.perf_counter() - start):.1f}", flush=True)
