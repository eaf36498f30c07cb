// Recognises emotion, age and gender in raw pictures of 640x480 RGB with a peer, and prints one line: pictures, pictures
// with a face, CPU milliseconds of each picture but the first two, which compile.
// usage: node bench-peers.cjs human|face-api MODULES FRAMES; started by bench-peers.sh
'use strict';
const fs = require('fs');
const path = require('path');
const Module = require('module');
const [, , peer, modules, file] = process.argv;
const width = 640;
const height = 480;
const size = 3 * width * height;
const at = (...p) => path.join(path.resolve(modules), ...p);

// TensorFlow.js as one file instead of its dozen packages.
const load = Module._load;
Module._load = function (name, ...rest) {
  const whole = /^@tensorflow\/tfjs(-core|-converter)?$/.test(name);
  return load.call(this, whole ? at('@tensorflow/tfjs/dist/tf.min.js') : name, ...rest);
};

// Models are read from the disk.
globalThis.fetch = async (url) => new Response(fs.readFileSync(String(url).replace('file://', '')));

async function human() {
  const { Human } = require(at('@vladmandic/human/dist/human.node-wasm.js'));
  const h = new Human({
    backend: 'wasm', wasmPath: at('@tensorflow/tfjs-backend-wasm/dist/'), modelBasePath: `file://${at('@vladmandic/human/models/')}`,
    debug: false, cacheSensitivity: 0, filter: { enabled: false },
    face: { enabled: true, detector: { rotation: false }, mesh: { enabled: true }, iris: { enabled: false }, emotion: { enabled: true }, description: { enabled: true } },
    body: { enabled: false }, hand: { enabled: false }, object: { enabled: false }, gesture: { enabled: false }, segmentation: { enabled: false },
  });
  await h.tf.ready();
  await h.load();
  return async (pixels) => {
    const t = h.tf.tensor(pixels, [1, height, width, 3], 'float32');
    const r = await h.detect(t);
    h.tf.dispose(t);
    return r.face.length > 0 && r.face[0].emotion.length > 0 && !!r.face[0].gender;
  };
}

async function faceapi() {
  const f = require(at('@vladmandic/face-api/dist/face-api.node-wasm.js'));
  const wasm = require(at('@tensorflow/tfjs-backend-wasm'));
  wasm.setWasmPaths(at('@tensorflow/tfjs-backend-wasm/dist/'));
  await f.tf.setBackend('wasm');
  await f.tf.ready();
  const models = at('@vladmandic/face-api/model');
  for (const net of [f.nets.tinyFaceDetector, f.nets.faceLandmark68Net, f.nets.faceExpressionNet, f.nets.ageGenderNet]) await net.loadFromDisk(models);
  const options = new f.TinyFaceDetectorOptions({ inputSize: 416, scoreThreshold: 0.2 });
  return async (pixels) => {
    const t = f.tf.tensor3d(pixels, [height, width, 3], 'int32');
    const r = await f.detectSingleFace(t, options).withFaceLandmarks().withFaceExpressions().withAgeAndGender();
    f.tf.dispose(t);
    return !!r;
  };
}

(async () => {
  const recognise = await (peer === 'human' ? human() : faceapi());
  const data = fs.readFileSync(file);
  let faces = 0;
  let used = 0;
  const n = Math.floor(data.length / size);
  for (let i = 0; i < n; i++) {
    const before = process.cpuUsage();
    if (await recognise(new Uint8Array(data.buffer, data.byteOffset + i * size, size))) faces++;
    const cpu = process.cpuUsage(before);
    if (i >= 2) used += cpu.user + cpu.system;
  }
  console.log(n, faces, (used / 1000 / (n - 2)).toFixed(1));
})();
