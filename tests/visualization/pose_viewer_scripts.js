"use strict";
// What the pose viewer's scripts compute, without a browser: node --test
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");
const vm = require("node:vm");

const FOLDER = path.join(__dirname, "../../keras_mvlift/visualization/templates/pose_viewer");
for (const file of fs.readdirSync(FOLDER)) {
  // The page's own script is all about the document; the others only define.
  if (file.endsWith(".js") && file !== "page.js") {
    vm.runInThisContext(fs.readFileSync(path.join(FOLDER, file), "utf8"), file);
  }
}
const {camera, decoding, errorCurve, inputView, keys, marks, orbit, palette, playback} = globalThis.poseViewer;

const near = (found, wanted, tolerance = 1e-6) => assert.ok(
  Math.abs(found - wanted) <= tolerance, `${found} is not ${wanted}`);
const base64 = (bytes) => Buffer.from(bytes).toString("base64");

test("packed steps become numbers, and the absent one NaN", () => {
  const data = base64([0, 0, 1, 0, 255, 255, 44, 1]);
  const values = decoding.unpack({type: "uint16", offset: [1, -2], step: 0.5, absent: 65535, data});
  assert.deepEqual([...values], [1, -1.5, NaN, 148]);
});

const clip = {
  numFrames: 2, numJoints: 2, joints: ["pelvis", "head"], parents: [-1, 0], bones: [[0, 1]],
  slots: [0, 1, 0], spacing: 1.3, viewpoint: {azimuth: 0, elevation: 0},
  imageSize: null, images: [], inputs: [], frameRate: 10,
  axes: [["x", [1, 0, 0]], ["y", [0, 0, -1]], ["z", [0, 1, 0]]],
  floor: {normal: [0, 0, 1], directions: [[1, 0, 0], [0, 1, 0]], height: new Float32Array([0.5])},
  tracks: [
    {index: 0, slot: 0, reference: 2, confidence: new Float32Array([1, 0.5, 1, 0]), uncertainty: null,
      pose: new Float32Array([0, 0, 1, 0, 0, 2, 0, 0, 1, NaN, NaN, NaN])},
    {index: 1, slot: 1, reference: null, confidence: null, uncertainty: null,
      pose: new Float32Array([0, 5, 1, 0, 5, 2, 0, 5, 1, 0, 5, 2])},
    {index: 2, slot: 0, reference: null, isReference: true, confidence: null, uncertainty: null,
      pose: new Float32Array([1, 0, 1, 1.03, 0.04, 2, 0, 0, 1, 0, 0, 2])},
  ],
};
const plain = (x, y, z) => ({x, y: -z, z: y, scale: 1});

test("an absent joint is not drawn, and a doubtful one is paler", () => {
  const [pelvis, head] = marks.joints(clip, clip.tracks[0], 0, plain, false);
  assert.ok(head.opacity < pelvis.opacity);
  assert.equal(pelvis.opacity, 1);
  assert.equal(marks.joints(clip, clip.tracks[0], 1, plain, false)[1], null);
  assert.equal(marks.joints(clip, clip.tracks[1], 0, plain, false)[0].opacity, 1);
});

test("what is far is drawn first", () => {
  const every = clip.tracks.slice(0, 2).map((track) => marks.joints(clip, track, 0, plain, false));
  const depths = marks.ordered(clip, every).map((mark) => mark.z);
  assert.equal(depths.length, 6);
  assert.deepEqual(depths, [...depths].sort((one, other) => other - one));
});

test("side by side, neighbors are a spacing apart and references with their track", () => {
  const across = clip.tracks.map((track) => marks.offset(clip, track, true)[0]);
  near(across[1] - across[0], 1.3);
  near(across[2], across[0]);
  assert.deepEqual(marks.offset(clip, clip.tracks[1], false), [0, 0]);
});

test("a joint's error is its distance with pelvis on pelvis", () => {
  near(marks.jointError(clip, clip.tracks[0], 0, 1), 50, 1e-3);
  assert.equal(marks.jointError(clip, clip.tracks[0], 1, 1), null);
  assert.equal(marks.jointError(clip, clip.tracks[1], 0, 1), null);
});

test("the nearest joint within reach is found", () => {
  const every = [[{x: 10, y: 10, joint: 0}, null, {x: 20, y: 10, joint: 2}]];
  assert.equal(marks.nearest(every, 17, 10, 16).joint, 2);
  assert.equal(marks.nearest(every, 80, 10, 16), null);
});

test("a shadow falls on the floor along its normal, in each frame", () => {
  assert.deepEqual(marks.ground(clip.floor, 1, [1, 2, 3]), [1, 2, 0.5]);
  const slanted = {normal: [0, -0.6, 0.8], height: new Float32Array([0, 1])};
  const [, y, z] = marks.ground(slanted, 1, [0, 0, 0]);
  near(y, -0.6);
  near(z, 0.8);
});

test("values are told in the clip's own axes", () => {
  assert.deepEqual(marks.position(clip, clip.tracks[0], 0, 1), [["x", 0], ["y", -2], ["z", 0]]);
});

test("a path has a place for each frame, and gaps where the joint is absent", () => {
  assert.deepEqual(marks.path(clip, clip.tracks[0], 1, false), [[0, 0, 0, 2], null]);
});

const LENS = {
  center: [0, -4, 1], axes: [[1, 0, 0], [0, 0, -1], [0, 1, 0]], depth: 2, distortion: null,
  intrinsics: [[500, 0, 320], [0, 400, 240], [0, 0, 1]],
};

test("the camera sees what is to its right and below right and below in its image", () => {
  // 1 m right and 0.5 m below at 4 m.
  assert.deepEqual(camera.pixel(LENS, [1, 0, 0.5]), [445, 290]);
  assert.equal(camera.pixel(LENS, [0, -5, 1]), null);
  // A third of x bends by 1 + 0.1 / 16 + ...: r2 is 1/16 + 1/64.
  const [u] = camera.pixel({...LENS, distortion: [0.1, 0, 0, 0, 0]}, [1, 0, 0.5]);
  near(u, 320 + 125 * (1 + 0.1 * 5 / 64));
});

test("a pixel is held where the ray to what it shows passes", () => {
  const [x, y, z] = camera.held(LENS, [445, 290]);
  near(x, 0.5);
  near(y, -2);
  near(z, 0.75);
  assert.equal(camera.frustum(LENS, [0, 0, 640, 480]).length, 5);
});

test("the error in the image is that of the joint that was lifted", () => {
  const inputs = [{tracks: [0], keypoints: new Float32Array([323, 244, NaN, NaN]), confidence: null}];
  const seen = {...clip, camera: LENS, inputs};
  near(marks.missed(seen, clip.tracks[0], 0, 0), 5, 1e-3);
  assert.equal(marks.missed(seen, clip.tracks[0], 0, 1), null);
  assert.equal(marks.missed(seen, clip.tracks[1], 0, 0), null);
  assert.equal(marks.missed({...seen, camera: null}, clip.tracks[0], 0, 0), null);
});

test("the floor reaches as far as asked, in few lines", () => {
  for (const reach of [2, 30, 400]) {
    const farthest = Math.max(...marks.floor([0, 0], reach).flat().map(([x]) => x));
    assert.ok(farthest >= reach && 2 * reach / marks.gridStep(reach) <= 40);
  }
});

function eye(fields) {
  return new orbit.Orbit({azimuth: 0, elevation: 0, center: [0, 0, 1], radius: 1, ...fields});
}

test("the target is in the middle, x is right, z is up, y is away", () => {
  const project = eye().projector(800, 600);
  const [middle, right, up, away] =
    [project(0, 0, 1), project(0.5, 0, 1), project(0, 0, 1.5), project(0, 0.5, 1)];
  near(middle.x, 400);
  near(middle.y, 300);
  assert.ok(right.x > 401 && up.y < 299 && away.z > middle.z && away.scale < middle.scale);
});

test("a drag to the right takes what is near to the right", () => {
  const turned = eye();
  turned.turn(50, 0);
  assert.ok(turned.projector(800, 600)(0, -0.5, 1).x > 401);
});

test("a drag down shows the scene from above, never over the top", () => {
  const turned = eye();
  turned.turn(0, 1e6);
  assert.ok(turned.elevation > 1.5 && turned.elevation < Math.PI / 2);
  assert.ok(turned.projector(800, 600)(0, 0.5, 1).y < 300);
});

test("what is behind the eye has no place in the image", () => {
  assert.equal(eye().projector(800, 600)(0, -100, 1), null);
});

test("a shift moves the scene by the pixels of the pointer", () => {
  const shifted = eye();
  shifted.shift(30, 20, 800, 600);
  const {x, y} = shifted.projector(800, 600)(0, 0, 1);
  near(x, 430, 1e-3);
  near(y, 320, 1e-3);
});

test("a fit shows all points, and nearly fills the image with them", () => {
  const points = [[-2, 0, 0], [2, 0.5, 2], [0, -1, 1]];
  for (const [width, height] of [[900, 500], [360, 600]]) {
    const fitted = eye({azimuth: 0.7, elevation: 0.3});
    fitted.fit(points, width, height);
    const seen = points.map((point) => fitted.projector(width, height)(...point));
    const filled = Math.max(...seen.map(({x, y}) => Math.max(Math.abs(2 * x / width - 1), Math.abs(2 * y / height - 1))));
    assert.ok(filled > 0.7 && filled < 0.9, `fills ${filled}`);
  }
});

test("a swing comes back to where the view was turned to", () => {
  const turned = eye();
  turned.swing(0.3);
  turned.turn(50, 0);
  const azimuth = turned.azimuth;
  turned.swing(0);
  near(turned.azimuth, azimuth - 0.3);
  const found = orbit.swept([[-1, -1, 0], [1, 1, 2]], Math.PI / 2).map((point) => point.map(Math.round));
  assert.deepEqual(found, [[-1, 1, 0], [1, -1, 2], [-1, -1, 0], [1, 1, 2], [1, -1, 0], [-1, 1, 2]]);
});

test("playing shows the frame of the time that passed, at the speed asked for", () => {
  const player = new playback.Playback(100, 50);
  player.speed = 0.5;
  player.play(1000);
  // The time of a browser's frame may be before the click that came in it.
  player.tick(990);
  assert.equal(player.frame, 0);
  player.play(1000);
  assert.equal(player.tick(1010), false);
  assert.equal(player.tick(1400), true);
  assert.equal(player.frame, 10);
  player.pause();
  assert.equal(player.tick(5000), false);
});

test("a loop starts again, and without it the last frame stays", () => {
  const player = new playback.Playback(10, 10);
  player.play(0);
  player.tick(600);
  player.tick(1200);
  assert.equal(player.frame, 2);
  player.loops = false;
  player.seek(8);
  player.tick(2100);
  assert.deepEqual([player.frame, player.isPlaying], [9, false]);
  player.play(3000);
  assert.equal(player.frame, 0);
});

test("frames beyond the ends are the ends", () => {
  const player = new playback.Playback(10, 10);
  player.seek(-4);
  assert.equal(player.frame, 0);
  player.seek(1e9);
  assert.equal(player.frame, 9);
});

test("the image shown is the last one so far", () => {
  const pairs = [[2, "a"], [5, "b"]];
  assert.deepEqual([0, 2, 4, 5, 99].map((frame) => inputView.latest(pairs, frame)), [null, "a", "a", "b", "b"]);
});

test("without an image size the keypoints' own extent is shown, with a margin", () => {
  const inputs = [{keypoints: new Float32Array([10, 20, 110, 70, NaN, NaN])}];
  assert.deepEqual(inputView.area({imageSize: null, inputs}).map(Math.round), [2, 12, 116, 66]);
  assert.deepEqual(inputView.area({imageSize: [640, 480], inputs}), [0, 0, 640, 480]);
});

test("a long curve keeps its peaks and its gaps", () => {
  const values = new Float32Array(1000).fill(5);
  values[503] = 90;
  values.fill(NaN, 800, 900);
  const found = errorCurve.envelope(values, 10);
  assert.deepEqual([found[5], found[8], found[9]], [[5, 90], null, [5, 5]]);
});

test("an axis ends at a round number that holds the greatest value", () => {
  assert.deepEqual(errorCurve.ticks(158), [0, 100, 200]);
  assert.deepEqual(errorCurve.ticks(0.3), [0, 0.1, 0.2, 0.3]);
  assert.ok(errorCurve.ticks(0).length > 1);
});

test("one person's colors tell the sides, several ones' who is who", () => {
  const read = (name) => `#0000${(name.length + 16).toString(16)}`;
  const alone = {tracks: [{index: 0}, {index: 1, isReference: true}]};
  assert.ok(palette.tellsSides(alone));
  const both = {tracks: [{index: 0}, {index: 1}]};
  const colors = palette.palette(both, (name) => ({"track-0": "#000000", "track-1": "#ff0000", stage: "#ffffff"})[name] ?? read(name));
  assert.notEqual(colors.of(both.tracks[0], "right"), colors.of(both.tracks[1], "right"));
  const bystander = {tracks: [{index: 0}, {index: 1, doubt: "seen in 1 frame only"}]};
  assert.ok(palette.tellsSides(bystander));
  const grey = palette.palette(bystander, (name) => name);
  assert.equal(grey.of(bystander.tracks[1], "left"), "reference");
  assert.equal(grey.of(bystander.tracks[0], "left"), "side-left");
  assert.equal(palette.mix("#000000", "#ffffff", 0.5), "#808080");
});

test("keys step by a frame, with shift by a second", () => {
  const steps = [];
  const page = {step: (frames) => steps.push(frames)};
  keys.action({key: "ArrowRight", shiftKey: false}, clip, page)();
  keys.action({key: "ArrowLeft", shiftKey: true}, clip, page)();
  assert.deepEqual(steps, [1, -10]);
  assert.equal(keys.action({key: "q"}, clip, page), null);
  assert.equal(keys.action({key: "constructor"}, clip, page), null);
});

test("a key that the browser needs is left to it", () => {
  const target = (tagName, type = "") => ({tagName, type});
  assert.ok(keys.isTaken({key: " ", target: target("BUTTON")}));
  assert.ok(keys.isTaken({key: "s", ctrlKey: true, target: target("BODY")}));
  assert.ok(!keys.isTaken({key: " ", target: target("CANVAS")}));
});
