"use strict";
// What is drawn of a frame, from far to near, and what lies under the pointer.
(function (viewer) {
  // Frames that are looked at for how far the people go.
  const MOST_FRAMES = 200;
  const MOST_PLACES = 400;
  // What is not known to be sure is drawn as sure; what is not sure at all stays visible.
  const PALEST = 0.15;

  function opacity(confidence) {
    return confidence === null || Number.isNaN(confidence) ? 1 : PALEST + (1 - PALEST) * confidence;
  }

  function at(values, index) {
    return values === null ? null : values[index];
  }

  /** How far a track moves for standing beside the others. */
  function offset(clip, track, isSpread) {
    if (!isSpread) return [0, 0];
    const meters = clip.spacing * (track.slot - Math.max(...clip.slots) / 2);
    return [meters * Math.cos(clip.viewpoint.azimuth), meters * Math.sin(clip.viewpoint.azimuth)];
  }

  /** Joints of tracks in some of the frames, [[x, y, z], ...]; from the root where `isRooted`. */
  function extent(clip, tracks, isSpread, isRooted) {
    const every = Math.max(1, Math.floor(clip.numFrames / MOST_FRAMES));
    const root = clip.parents.indexOf(-1);
    const points = [];
    for (const track of tracks) {
      const [right, away] = offset(clip, track, isSpread);
      for (let frame = 0; frame < clip.numFrames; frame += every) {
        for (let joint = 0; joint < clip.numJoints; joint++) {
          const index = 3 * (frame * clip.numJoints + joint);
          const start = 3 * (frame * clip.numJoints + root);
          const point = [0, 1, 2].map((axis) => track.pose[index + axis] - (isRooted ? track.pose[start + axis] : 0));
          if (!Number.isNaN(point[0])) points.push([point[0] + right, point[1] + away, point[2]]);
        }
      }
    }
    return points;
  }

  /** Projects a track's joints: an array with null where one is absent or behind the eye. */
  function joints(clip, track, frame, project, isSpread) {
    const [right, away] = offset(clip, track, isSpread);
    return clip.joints.map((name, joint) => {
      const index = frame * clip.numJoints + joint;
      const [x, y, z] = track.pose.subarray(3 * index, 3 * index + 3);
      if (Number.isNaN(x)) return null;
      const seen = project(x + right, y + away, z);
      return seen && {
        ...seen,
        name, joint, track,
        ground: project(...ground(clip.floor, frame, [x + right, y + away, z])),
        opacity: opacity(at(track.confidence, index)),
        confidence: at(track.confidence, index),
        uncertainty: at(track.uncertainty, index),
      };
    });
  }

  function dot(one, other) {
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2];
  }

  function heightOf(floor, frame) {
    return floor.height[Math.min(frame, floor.height.length - 1)];
  }

  /** The place on the floor below a point. */
  function ground(floor, frame, point) {
    const above = dot(point, floor.normal) - heightOf(floor, frame);
    return point.map((value, axis) => value - above * floor.normal[axis]);
  }

  /** A joint's place in the clip's own axes, meters. */
  function position(clip, track, frame, joint) {
    const start = 3 * (frame * clip.numJoints + joint);
    const point = [...track.pose.subarray(start, start + 3)];
    return clip.axes.map(([name, direction]) => [name, dot(point, direction)]);
  }

  /** How far a joint lies off the one that was lifted, in the image, pixels; null where not known. */
  function missed(clip, track, frame, joint) {
    const input = clip.camera && clip.inputs.find((each) => each.tracks.includes(track.index));
    if (!input) return null;
    const index = frame * clip.numJoints + joint;
    const seen = viewer.camera.pixel(clip.camera, [...track.pose.subarray(3 * index, 3 * index + 3)]);
    const [x, y] = input.keypoints.subarray(2 * index, 2 * index + 2);
    if (!seen || Number.isNaN(x) || input.confidence?.[index] === 0) return null;
    return Math.hypot(seen[0] - x, seen[1] - y);
  }

  /** Where a joint goes, [frame, x, y, z] in some of the frames; null where it is absent. */
  function path(clip, track, joint, isSpread) {
    const every = Math.max(1, Math.floor(clip.numFrames / MOST_PLACES));
    const [right, away] = offset(clip, track, isSpread);
    const places = [];
    for (let frame = 0; frame < clip.numFrames; frame += every) {
      const start = 3 * (frame * clip.numJoints + joint);
      const [x, y, z] = track.pose.subarray(start, start + 3);
      places.push(Number.isNaN(x) ? null : [frame, x + right, y + away, z]);
    }
    return places;
  }

  /** Lists bones and joints of all tracks, the farthest first. */
  function ordered(clip, everyJoints) {
    const marks = [];
    for (const found of everyJoints) {
      for (const [parent, child] of clip.bones) {
        const [from, to] = [found[parent], found[child]];
        if (from && to) marks.push({kind: "bone", from, to, z: (from.z + to.z) / 2});
      }
      for (const joint of found) {
        // A joint lies on the ends of its bones.
        if (joint) marks.push({kind: "joint", joint, z: joint.z - 0.02});
      }
    }
    return marks.sort((one, other) => other.z - one.z);
  }

  /** Finds the joint nearest to a pixel, no farther than `reach` pixels. */
  function nearest(everyJoints, x, y, reach) {
    let found = null;
    let best = reach;
    for (const joint of everyJoints.flat()) {
      if (!joint) continue;
      const away = Math.hypot(joint.x - x, joint.y - y);
      if (away < best) [found, best] = [joint, away];
    }
    return found;
  }

  /** Distance of a joint from the same one of its track's reference, in millimeters, or null. */
  function jointError(clip, track, frame, joint) {
    if (track.reference === null) return null;
    const index = 3 * (frame * clip.numJoints + joint);
    const root = 3 * (frame * clip.numJoints + clip.parents.indexOf(-1));
    const judge = clip.tracks[track.reference].pose;
    let sum = 0;
    for (let axis = 0; axis < 3; axis++) {
      const pose = track.pose[index + axis] - track.pose[root + axis];
      sum += (pose - judge[index + axis] + judge[root + axis]) ** 2;
    }
    return Number.isNaN(sum) ? null : 1000 * Math.sqrt(sum);
  }

  /** Distance between floor lines that gives no more than forty of them. */
  function gridStep(reach) {
    return [0.5, 1, 2, 5, 10, 20, 50, 100].find((step) => 2 * reach / step <= 40) ?? 500;
  }

  /** Ends of the floor's lines around a place on it, as pairs of points [across, away]. */
  function floor(center, reach) {
    const step = gridStep(reach);
    const lines = [];
    const [x, y] = center.map((value) => step * Math.round(value / step));
    const count = Math.ceil(reach / step);
    for (let line = -count; line <= count; line++) {
      for (let cell = -count; cell < count; cell++) {
        lines.push([[x + line * step, y + cell * step], [x + line * step, y + (cell + 1) * step]]);
        lines.push([[x + cell * step, y + line * step], [x + (cell + 1) * step, y + line * step]]);
      }
    }
    return lines;
  }

  viewer.marks = {
    dot, extent, floor, gridStep, ground, heightOf, jointError, joints, missed, nearest, offset, opacity, ordered, path, position,
  };
})(globalThis.poseViewer ??= {});
