"use strict";
// The camera that saw the people: where a point is in its image, and a pixel in the scene.
(function (viewer) {
  /** Moves a point of a straight lens's image, at depth one, to where OpenCV's coefficients bend it. */
  function bent([x, y], distortion) {
    if (!distortion) return [x, y];
    const [k1, k2, p1, p2, k3] = distortion;
    const r2 = x * x + y * y;
    const radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3));
    return [x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y];
  }

  /** Projects a point of the scene to pixels, or null where it is behind the camera. */
  function pixel({center, axes, intrinsics, distortion}, point) {
    const [right, down, away] = axes.map((axis) => axis.reduce(
      (sum, value, index) => sum + value * (point[index] - center[index]), 0));
    if (!(away > 0)) return null;
    const [x, y] = bent([right / away, down / away], distortion);
    return [0, 1].map((row) => intrinsics[row][0] * x + intrinsics[row][1] * y + intrinsics[row][2]);
  }

  /** Puts a pixel on the image that is held in front of the camera; lens distortion does not show. */
  function held({center, axes, intrinsics, depth}, [u, v]) {
    const down = (v - intrinsics[1][2]) / intrinsics[1][1];
    const right = (u - intrinsics[0][2] - intrinsics[0][1] * down) / intrinsics[0][0];
    return center.map((value, axis) => value + depth * (right * axes[0][axis] + down * axes[1][axis] + axes[2][axis]));
  }

  /** The camera's place and its image's corners in the scene, [[x, y, z], ...], round in order. */
  function frustum(camera, [left, top, width, height]) {
    const corners = [[left, top], [left + width, top], [left + width, top + height], [left, top + height]];
    return [camera.center, ...corners.map((corner) => held(camera, corner))];
  }

  viewer.camera = {frustum, held, pixel};
})(globalThis.poseViewer ??= {});
