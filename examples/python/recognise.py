#!/usr/bin/env python3
"""Runs a model file of tandem with onnxruntime and numpy alone, on a window of sound and on pictures of one face.

usage: recognise.py MODEL.onnx [SOUND.wav] [PICTURE.ppm:X,Y,X,Y,X,Y]...

SOUND.wav has 16 bits, one channel and 16 kHz; its end is judged. Each picture (PPM, P6) is followed by the points of
the face in pixels, as any landmark detector gives them: the eye on the picture's left, the one on its right, the mouth.
"""
import json, math, sys, wave
import numpy as np
import onnxruntime

RATE = 16000


def high_pass(x):
    """The inverse Chebyshev filter of capture/highpass.go: no bias, rumble or hum of the mains."""
    edge, order = math.tan(math.pi * 61.54 / RATE), 7
    mu = math.asinh(math.sqrt(10 ** 4 - 1)) / order
    x = x.astype(float)
    for i in range(4):
        theta = math.pi / 2 - i * math.pi / order
        re, im = -edge * math.sinh(mu) * math.sin(theta), edge * math.cosh(mu) * math.cos(theta)
        if i == 0:
            p = (1 + re) / (1 - re)
            b, a = ((1 + p) / 2, -(1 + p) / 2, 0), (-p, 0)
        else:
            over, zero = (1 - re) ** 2 + im**2, edge * math.cos(theta)
            a = (-2 * (1 - re * re - im * im) / over, ((1 + re) ** 2 + im**2) / over)
            cos = (1 - zero**2) / (1 + zero**2)
            gain = (1 - a[0] + a[1]) / (2 + 2 * cos)
            b = (gain, -2 * cos * gain, gain)
        s0, s1 = b[1] * x[0] if i == 0 else 0.0, 0.0  # as if the first sample had lasted for ever
        for n, v in enumerate(x):
            y = b[0] * v + s0
            s0, s1 = b[1] * v - a[0] * y + s1, b[2] * v - a[1] * y
            x[n] = y
    return x.astype(np.float32)


def crop(path, points, size, channels, margin):
    """A face upright by its eyes, the point between them at (0.5, 0.4) of a square (pipeline/crop.go)."""
    head, pixels = open(path, "rb").read().split(b"\n255\n", 1)
    width, height = map(int, head.split()[1:3])
    image = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    image = image @ [[0.299], [0.587], [0.114]] if channels == 1 else image
    left, right, mouth = np.reshape(points, (3, 2))
    eyes = (left + right) / 2
    across, down = right - left, mouth - eyes
    side = margin * max(np.hypot(*across), np.hypot(*down))
    profile = np.hypot(*across) < side / margin / 5  # then the line to the mouth is upright
    row = np.array([down[1], -down[0]]) / np.hypot(*down) if profile else across / np.hypot(*across)
    scale = side / size
    factor = max(1, round(scale))  # the mean of blocks, then bilinear: four reads a pixel if it still shrinks
    image = np.pad(image, ((0, -height % factor), (0, -width % factor), (0, 0)), mode="edge")
    image = image.reshape(image.shape[0] // factor, factor, -1, factor, channels).mean((1, 3))
    rest, out = scale / factor, np.zeros((size, size, channels))
    v, u = np.mgrid[:size, :size] + 0.5
    for dv, du in np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) / 4 if rest > 1.2 else [(0, 0)]:
        right, below = (u + du - 0.5 * size) * rest, (v + dv - 0.4 * size) * rest
        x = eyes[0] / factor + right * row[0] - below * row[1] - 0.5
        y = eyes[1] / factor + right * row[1] + below * row[0] - 0.5
        x, y = np.clip(x, 0, image.shape[1] - 1.001), np.clip(y, 0, image.shape[0] - 1.001)
        i, j = x.astype(int), y.astype(int)
        x, y = (x - i)[..., None], (y - j)[..., None]
        above = image[j, i] * (1 - x) + image[j, i + 1] * x
        under = image[j + 1, i] * (1 - x) + image[j + 1, i + 1] * x
        out += above * (1 - y) + under * y
    return (out / (4 if rest > 1.2 else 1) + 0.5).astype(np.uint8)


def main(model, *media):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    inputs = {i.name: i for i in session.get_inputs()}
    meta = {k.removeprefix("tandem."): v for k, v in session.get_modelmeta().custom_metadata_map.items()}
    samples, frames = round(float(meta["window_seconds"]) * RATE), int(meta["video_frames"])
    size, channels, margin = int(meta["crop_size"]), inputs["video"].shape[-1], float(meta["crop_margin"])
    audio, audio_mask = np.zeros((1, samples), np.float32), np.zeros((1, 1), np.float32)
    video, video_mask = np.zeros((1, frames, size, size, channels), np.uint8), np.zeros((1, frames), np.float32)
    covered = np.ones((1, 1), np.float32)  # the share of the window, at its end, that there is media for
    pictures = [m.rsplit(":", 1) for m in media if not m.endswith(".wav")]
    for path in (m for m in media if m.endswith(".wav")):
        with wave.open(path) as w:
            if (w.getframerate(), w.getnchannels(), w.getsampwidth()) != (RATE, 1, 2):
                sys.exit(path + ": want 16 bits, one channel, 16 kHz: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav")
            sound = high_pass(np.frombuffer(w.readframes(w.getnframes()), "<i2") / 32768)[-samples:]
        if len(sound) < samples and "audio_covered" not in inputs:
            sys.exit(f"{path}: {len(sound) / RATE:.2f} s, and the model takes no less than {samples / RATE:.2f} s")
        audio[0, -len(sound):], audio_mask[0, 0], covered[0, 0] = sound, 1, len(sound) / samples
        if meta["audio_norm"].startswith("rms:"):  # silence stays silence
            audio *= float(meta["audio_norm"][4:]) / max(np.sqrt(np.mean(audio.astype(float) ** 2)), 1e-7)
    if len(pictures) == 1:  # a still shows one face all the time
        pictures *= frames
    for k, (path, points) in enumerate(pictures[-frames:], frames - len(pictures[-frames:])):
        video[0, k] = crop(path, [float(p) for p in points.split(",")], size, channels, margin)
        video_mask[0, k] = 1
    if inputs["video"].type == "tensor(float)":  # else the network scales the pixels itself
        low, high = map(float, meta["pixel_scale"].split(","))
        video = (low + (high - low) / 255 * video).astype(np.float32)
    feeds = dict(audio=audio, video=video, audio_mask=audio_mask, video_mask=video_mask, audio_covered=covered)
    logits = session.run(["emotion", "gender"], {name: feeds[name] for name in inputs})
    senses = "" if audio_mask.any() and video_mask.any() else ".audio" if audio_mask.any() else ".video"
    answer = {}
    for task, l in zip(("emotion", "gender"), logits):
        t = meta.get("temperature." + task + senses, meta["temperature." + task])
        p = np.exp((l[0] - l[0].max()) / float(t))
        answer[task] = dict(zip(meta[task + "s"].split(","), (p / p.sum()).round(4).tolist()))
    print(json.dumps(answer))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
