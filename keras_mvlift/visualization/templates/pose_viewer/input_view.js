"use strict";
// Draws what was lifted: 2D keypoints over the image, each as visible as it is sure.
(function (viewer) {
  const MARGIN = 0.08;

  /** The part of the image plane to show, [left, top, width, height] in pixels. */
  function area(clip) {
    if (clip.imageSize) return [0, 0, ...clip.imageSize];
    const low = [Infinity, Infinity];
    const high = [-Infinity, -Infinity];
    for (const {keypoints} of clip.inputs) {
      for (let index = 0; index < keypoints.length; index++) {
        if (Number.isNaN(keypoints[index])) continue;
        low[index % 2] = Math.min(low[index % 2], keypoints[index]);
        high[index % 2] = Math.max(high[index % 2], keypoints[index]);
      }
    }
    if (low[0] > high[0]) return [0, 0, 1, 1];
    const size = Math.max(high[0] - low[0], high[1] - low[1], 1);
    return [low[0] - MARGIN * size, low[1] - MARGIN * size,
      high[0] - low[0] + 2 * MARGIN * size, high[1] - low[1] + 2 * MARGIN * size];
  }

  /** The last of the sorted [frame, value] pairs at or before a frame, or null. */
  function latest(pairs, frame) {
    let [low, high] = [0, pairs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pairs[middle][0] <= frame) low = middle + 1;
      else high = middle;
    }
    return low ? pairs[low - 1][1] : null;
  }

  class InputView {
    constructor(canvas, clip) {
      Object.assign(this, {canvas, clip, joints: [], area: area(clip)});
      this.image = new Image();
      this.address = null;
      canvas.style.aspectRatio = `${this.area[2]} / ${this.area[3]}`;
    }

    draw(frame, tracks, colors, hovered) {
      const {context, width, height} = viewer.prepare(this.canvas);
      const scale = Math.min(width / this.area[2], height / this.area[3]);
      const left = (width - scale * this.area[2]) / 2 - scale * this.area[0];
      const top = (height - scale * this.area[3]) / 2 - scale * this.area[1];
      this.drawImage(context, frame, [left + scale * this.area[0], top + scale * this.area[1],
        scale * this.area[2], scale * this.area[3]]);
      this.joints = [];
      for (const input of this.shown(tracks)) {
        const {track} = input;
        const found = this.clip.joints.map((name, joint) => {
          const index = frame * this.clip.numJoints + joint;
          const [x, y] = input.keypoints.subarray(2 * index, 2 * index + 2);
          const confidence = input.confidence ? input.confidence[index] : null;
          if (Number.isNaN(x) || confidence === 0) return null;
          const opacity = viewer.marks.opacity(confidence);
          return {x: left + scale * x, y: top + scale * y, name, joint, track, confidence, opacity};
        });
        this.drawSkeleton(context, found, colors, hovered, Math.max(2, Math.min(4, height / 90)));
        this.joints.push(found);
      }
    }

    /** The inputs of tracks that are shown, each with the first of them. */
    shown(tracks) {
      return this.clip.inputs
        .map((input) => ({...input, track: tracks.find((track) => input.tracks.includes(track.index))}))
        .filter(({track}) => track);
    }

    get hasImage() {
      return Boolean(this.address && this.image.complete && this.image.naturalWidth);
    }

    drawImage(context, frame, place) {
      const address = latest(this.clip.images, frame);
      if (address !== this.address) {
        this.address = address;
        this.image = new Image();
        this.image.onload = () => this.onload?.();
        if (address) this.image.src = address;
      }
      if (this.hasImage) context.drawImage(this.image, ...place);
    }

    drawSkeleton(context, joints, colors, hovered, width) {
      context.lineCap = "round";
      context.lineWidth = width;
      for (const [parent, child] of this.clip.bones) {
        const [from, to] = [joints[parent], joints[child]];
        if (!from || !to) continue;
        context.globalAlpha = Math.min(from.opacity, to.opacity);
        context.strokeStyle = colors.of(to.track, this.clip.sides[child]);
        context.beginPath();
        context.moveTo(from.x, from.y);
        context.lineTo(to.x, to.y);
        context.stroke();
      }
      for (const joint of joints) {
        if (!joint) continue;
        context.globalAlpha = joint.opacity;
        context.fillStyle = colors.of(joint.track, this.clip.sides[joint.joint]);
        context.beginPath();
        context.arc(joint.x, joint.y, width, 0, 2 * Math.PI);
        context.fill();
        if (hovered?.joint !== joint.joint) continue;
        context.globalAlpha = 1;
        context.lineWidth = 2;
        context.strokeStyle = colors.text;
        context.beginPath();
        context.arc(joint.x, joint.y, width + 4, 0, 2 * Math.PI);
        context.stroke();
        context.lineWidth = width;
      }
      context.globalAlpha = 1;
    }
  }

  viewer.inputView = {InputView, area, latest};
})(globalThis.poseViewer ??= {});
