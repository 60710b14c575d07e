"use strict";
// What the page is told in whole steps and base64 becomes plain numbers.
(function (viewer) {
  const ARRAYS = {uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array};

  /** Unpacks an array; NaN where a value is absent. */
  function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
    const whole = new ARRAYS[packed.type](bytes.buffer);
    const values = new Float32Array(whole.length);
    const numAxes = packed.offset.length;
    for (let index = 0; index < whole.length; index++) {
      values[index] = whole[index] === packed.absent
        ? NaN : packed.offset[index % numAxes] + packed.step * whole[index];
    }
    return values;
  }

  function optional(packed) {
    return packed ? unpack(packed) : null;
  }

  /** Unpacks a whole clip; the rest of it stays as it is. */
  function decode(told) {
    const tracks = told.tracks.map((track, index) => ({
      ...track,
      index,
      slot: told.slots[index],
      pose: unpack(track.pose),
      confidence: optional(track.confidence),
      uncertainty: optional(track.uncertainty),
      errors: track.errors.map((error) => ({...error, frames: unpack(error.frames)})),
    }));
    const inputs = told.inputs.map((input) => ({
      ...input,
      keypoints: unpack(input.keypoints),
      confidence: optional(input.confidence),
    }));
    const bones = told.parents.map((parent, joint) => [parent, joint]).filter(([parent]) => parent >= 0);
    const floor = {...told.floor, height: unpack(told.floor.height)};
    return {...told, tracks, inputs, bones, floor, numJoints: told.joints.length};
  }

  viewer.decoding = {decode, unpack};
})(globalThis.poseViewer ??= {});
