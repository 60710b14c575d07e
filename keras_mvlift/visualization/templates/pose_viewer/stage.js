"use strict";
// Draws the scene: floor, shadows, camera, paths, skeletons, names, axes.
(function (viewer) {
  const BONE_METERS = 0.045;
  const THINNEST = 2.5;
  const THICKEST = 22;
  const NAME_PIXELS = 17;
  // The camera's image is drawn in so many by so many flat pieces, each a little over its neighbors.
  const [PIECES, OVERLAP] = [6, 1.03];
  // Seconds before now in which a path is drawn strongly.
  const RECENT = 1;

  /** Fits a canvas's pixels to its place on the page; gives its context in CSS pixels. */
  viewer.prepare = function (canvas) {
    const ratio = globalThis.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const [fullWidth, fullHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== fullWidth || canvas.height !== fullHeight) {
      [canvas.width, canvas.height] = [fullWidth, fullHeight];
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    // What was drawn last must not show in what is drawn next.
    context.lineCap = "butt";
    return {context, width, height};
  };

  function line(context, from, to) {
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }

  function disc(context, {x, y}, radius) {
    context.beginPath();
    context.arc(x, y, Math.max(0.5, radius), 0, 2 * Math.PI);
  }

  function boneWidth(scale) {
    return Math.max(THINNEST, Math.min(THICKEST, BONE_METERS * scale));
  }

  class Stage {
    constructor(canvas, clip, orbit) {
      Object.assign(this, {canvas, clip, orbit, joints: [], isSpread: false, camera: null, paths: []});
    }

    /** Draws a frame of the tracks that are shown. */
    draw(frame, tracks, colors, hovered) {
      const {context, width, height} = viewer.prepare(this.canvas);
      const project = this.orbit.projector(width, height);
      this.joints = tracks.map(
        (track) => viewer.marks.joints(this.clip, track, frame, project, this.isSpread));
      this.drawFloor(context, project, frame, colors);
      this.drawPaths(context, project, frame, tracks, colors);
      const isBehind = this.camera && this.isBehind(project);
      if (this.camera && isBehind) this.drawCamera(context, project, frame, tracks, colors);
      this.drawUncertainties(context, colors);
      for (const mark of viewer.marks.ordered(this.clip, this.joints)) {
        if (mark.kind === "bone") this.drawBone(context, mark, colors);
        else this.drawJoint(context, mark.joint, colors);
      }
      if (this.camera && !isBehind) this.drawCamera(context, project, frame, tracks, colors);
      if (new Set(tracks.map((track) => track.slot)).size > 1) this.drawNames(context, colors);
      this.drawAxes(context, height, colors);
      const found = hovered && this.joints.flat().find(
        (joint) => joint && joint.joint === hovered.joint && joint.track === hovered.track);
      if (found) this.drawRing(context, found, colors);
      return found;
    }

    drawFloor(context, project, frame, colors) {
      const {floor, radius, slots, spacing} = this.clip;
      const reach = Math.max(2, radius + 0.5 + (this.isSpread ? spacing * Math.max(...slots) / 2 : 0));
      const center = floor.directions.map((direction) => viewer.marks.dot(direction, this.clip.center));
      const height = viewer.marks.heightOf(floor, frame);
      const place = ([across, away]) => project(...floor.normal.map((value, axis) => (
        height * value + across * floor.directions[0][axis] + away * floor.directions[1][axis])));
      context.lineWidth = 1;
      context.strokeStyle = colors.grid;
      for (const [from, to] of viewer.marks.floor(center, reach)) {
        const ends = [place(from), place(to)];
        const away = Math.hypot(from[0] - center[0], from[1] - center[1]) / reach;
        context.globalAlpha = Math.max(0, 1 - 0.75 * away);
        if (ends[0] && ends[1]) line(context, ...ends);
      }
      context.globalAlpha = 0.3;
      context.strokeStyle = colors.shadow;
      context.lineCap = "round";
      for (const joints of this.joints) this.drawShadow(context, joints.map((joint) => joint?.ground));
      context.globalAlpha = 1;
    }

    /** Draws a skeleton's shadow in one stroke, so that bones over bones are no darker. */
    drawShadow(context, feet) {
      const known = feet.filter(Boolean);
      if (!known.length) return;
      context.lineWidth = boneWidth(known.reduce((sum, {scale}) => sum + scale, 0) / known.length);
      context.beginPath();
      for (const [parent, child] of this.clip.bones) {
        const [from, to] = [feet[parent], feet[child]];
        if (!from || !to) continue;
        context.moveTo(from.x, from.y);
        context.lineTo(to.x, to.y);
      }
      context.stroke();
    }

    /** Whether the camera's image is behind the people, as they are seen now. */
    isBehind(project) {
      const image = project(...viewer.camera.held(this.clip.camera, this.clip.camera.intrinsics.map((row) => row[2])));
      return !image || image.z > project(...this.orbit.target).z;
    }

    /** Draws the camera as a pyramid whose base is its image, with what was lifted on it. */
    drawCamera(context, project, frame, tracks, colors) {
      const [eye, ...corners] = viewer.camera.frustum(this.clip.camera, this.camera.area).map((point) => project(...point));
      if (!eye || corners.some((corner) => !corner)) return;
      this.drawHeldImage(context, project, colors);
      context.strokeStyle = colors.faint;
      context.lineWidth = 1.2;
      corners.forEach((corner, index) => {
        line(context, eye, corner);
        line(context, corner, corners[(index + 1) % corners.length]);
      });
      context.lineWidth = 1.6;
      for (const {keypoints, confidence, track} of this.camera.shown(tracks)) {
        const places = this.clip.joints.map((_, joint) => {
          const index = frame * this.clip.numJoints + joint;
          const [x, y] = keypoints.subarray(2 * index, 2 * index + 2);
          return Number.isNaN(x) || confidence?.[index] === 0 ? null : project(...viewer.camera.held(this.clip.camera, [x, y]));
        });
        for (const [parent, child] of this.clip.bones) {
          context.strokeStyle = colors.of(track, this.clip.sides[child]);
          if (places[parent] && places[child]) line(context, places[parent], places[child]);
        }
      }
    }

    drawHeldImage(context, project, colors) {
      const {image, area: [left, top, width, height]} = this.camera;
      const isThere = this.camera.hasImage;
      const place = (column, row) => project(...viewer.camera.held(
        this.clip.camera, [left + width * column / PIECES, top + height * row / PIECES]));
      context.globalAlpha = isThere ? 1 : 0.5;
      context.fillStyle = colors.background;
      for (let row = 0; row < PIECES; row++) {
        for (let column = 0; column < PIECES; column++) {
          const [corner, right, down] = [place(column, row), place(column + 1, row), place(column, row + 1)];
          if (!corner || !right || !down) continue;
          context.save();
          context.transform(right.x - corner.x, right.y - corner.y, down.x - corner.x, down.y - corner.y, corner.x, corner.y);
          if (isThere) {
            const [w, h] = [image.naturalWidth / PIECES, image.naturalHeight / PIECES];
            context.drawImage(image, column * w, row * h, w, h, 0, 0, OVERLAP, OVERLAP);
          } else context.fillRect(0, 0, 1, 1);
          context.restore();
        }
      }
      context.globalAlpha = 1;
    }

    /** Draws where joints go, and strongly where they just came from. */
    drawPaths(context, project, frame, tracks, colors) {
      context.lineCap = context.lineJoin = "round";
      const since = frame - RECENT * this.clip.frameRate;
      for (const {track, places} of this.paths) {
        if (!tracks.includes(track)) continue;
        context.strokeStyle = colors.plain(track);
        for (const [least, width, alpha] of [[-Infinity, 1.2, 0.45], [since, 3, 0.9]]) {
          context.beginPath();
          let isOn = false;
          for (const place of places) {
            const isWanted = place && (least === -Infinity || (place[0] >= least && place[0] <= frame));
            const seen = isWanted ? project(...place.slice(1)) : null;
            if (seen) context[isOn ? "lineTo" : "moveTo"](seen.x, seen.y);
            isOn = Boolean(seen);
          }
          context.lineWidth = width;
          context.globalAlpha = alpha;
          context.stroke();
        }
      }
      context.globalAlpha = 1;
    }

    drawUncertainties(context, colors) {
      for (const joint of this.joints.flat()) {
        if (!joint || !(joint.uncertainty > 0)) continue;
        context.globalAlpha = 0.12;
        context.fillStyle = colors.of(joint.track, this.clip.sides[joint.joint]);
        disc(context, joint, joint.uncertainty * joint.scale);
        context.fill();
      }
      context.globalAlpha = 1;
    }

    drawBone(context, {from, to}, colors) {
      const isReference = from.track.isReference;
      const width = boneWidth((from.scale + to.scale) / 2) * (isReference ? 0.45 : 1);
      context.lineCap = isReference ? "butt" : "round";
      if (!isReference) {
        // The background's edge tells what is in front.
        context.strokeStyle = colors.background;
        context.lineWidth = width + 3;
        line(context, from, to);
      }
      context.setLineDash(isReference ? [1.6 * width, width] : []);
      context.globalAlpha = Math.min(from.opacity, to.opacity);
      context.strokeStyle = colors.of(from.track, this.clip.sides[to.joint]);
      context.lineWidth = width;
      line(context, from, to);
      context.setLineDash([]);
      context.globalAlpha = 1;
    }

    drawJoint(context, joint, colors) {
      const width = boneWidth(joint.scale);
      const color = colors.of(joint.track, this.clip.sides[joint.joint]);
      disc(context, joint, joint.track.isReference ? width * 0.42 : width * 0.62);
      context.fillStyle = colors.background;
      context.fill();
      context.globalAlpha = joint.opacity;
      if (joint.track.isReference) {
        context.strokeStyle = color;
        context.lineWidth = 1.5;
        context.stroke();
      } else {
        context.fillStyle = color;
        context.fill();
      }
      context.globalAlpha = 1;
    }

    /** Writes names above heads, one above the other where heads are near. */
    drawNames(context, colors) {
      context.font = `600 13px ${colors.font}`;
      context.textAlign = "center";
      context.textBaseline = "bottom";
      context.lineWidth = 4;
      context.lineJoin = "round";
      context.strokeStyle = colors.background;
      const tops = this.joints
        .map((joints) => joints.filter(Boolean))
        .filter((known) => known.length && !known[0].track.isReference)
        .map((known) => known.reduce((one, other) => (other.y < one.y ? other : one)))
        .map(({x, y, track}) => ({x, y: y - 14, track, half: context.measureText(track.name).width / 2}))
        .sort((one, other) => other.y - one.y);
      tops.forEach((top, index) => {
        for (const other of tops.slice(0, index)) {
          const isNear = Math.abs(other.x - top.x) < other.half + top.half + 4;
          if (isNear && top.y > other.y - NAME_PIXELS) top.y = other.y - NAME_PIXELS;
        }
        context.fillStyle = colors.plain(top.track);
        context.strokeText(top.track.name, top.x, top.y);
        context.fillText(top.track.name, top.x, top.y);
      });
    }

    drawAxes(context, height, colors) {
      const {x, y} = this.orbit.axes();
      const origin = {x: 34, y: height - 34};
      const dot = (one, other) => one[0] * other[0] + one[1] * other[1] + one[2] * other[2];
      context.font = `12px ${colors.font}`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.lineWidth = 1.5;
      context.lineCap = "round";
      context.strokeStyle = context.fillStyle = colors.faint;
      for (const [name, direction] of this.clip.axes) {
        const [right, up] = [dot(x, direction), dot(y, direction)];
        line(context, origin, {x: origin.x + 18 * right, y: origin.y - 18 * up});
        if (Math.hypot(right, up) > 0.3) context.fillText(name, origin.x + 26 * right, origin.y - 26 * up);
      }
    }

    drawRing(context, joint, colors) {
      context.strokeStyle = colors.text;
      context.lineWidth = 2;
      disc(context, joint, boneWidth(joint.scale) * 0.62 + 4);
      context.stroke();
    }
  }

  viewer.stage = {Stage};
})(globalThis.poseViewer ??= {});
