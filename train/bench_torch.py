"""One training step of tandem's network in PyTorch, for `make bench-train`: the layers of net.go, the batch of the
default recipe, AdamW. It prints the milliseconds of each step. Debian's python3-torch runs it.

usage: bench_torch.py STEPS THREADS FACES SOUNDS ROWS ARCH, the last as JSON like a recipe's "arch"
"""
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

STEPS, THREADS, FACES, SOUNDS, ROWS = (int(a) for a in sys.argv[1:6])
ARCH = json.loads(sys.argv[6])
T, SIZE, SAMPLES, HOP, FRAME, MELS = 8, 48, 40960, 256, 512, ARCH["mel_bands"]
(W0, W1, W2, W3), FACE = ARCH["face_widths"], ARCH["face_dim"]
(S0, S1, S2), SOUND, FUSE = ARCH["sound_widths"], ARCH["sound_dim"], ARCH["fuse_dim"]
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
        self.f0, self.f1, self.f1a = Conv(4, W0, 3, 1, 1), merge(W0, W1), conv(W1, W1)
        self.f2, self.f2a, self.f2b, self.f3 = merge(W1, W2), conv(W2, W2), conv(W2, W2), merge(W2, W3)
        self.fout = nn.Linear(9 * W3, FACE)
        self.mel = nn.Parameter(torch.rand(FRAME // 2 + 1, MELS))
        self.register_buffer("basis", torch.randn(FRAME, 2 * (FRAME // 2 + 1)) / FRAME**0.5)
        self.s0, self.s1, self.s2 = Conv(4, S0, 3, 1, 1), merge(S0, S1), merge(S1, S2)
        self.s2a, self.s2b = conv(S2, S2), conv(S2, S2)
        self.sstep, self.sattn, self.sout = nn.Linear(MELS // 8 * S2, SOUND), nn.Linear(SOUND, 1), nn.Linear(2 * SOUND, SOUND)
        self.vstep, self.vattn = nn.Linear(2 * FACE, FACE), nn.Linear(FACE, 1)
        self.joint = nn.Linear(FACE + SOUND + 2, FUSE)
        self.heads = nn.ModuleList(nn.Linear(i, o) for o in (7, 2) for i in (FACE, SOUND, FUSE))

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
