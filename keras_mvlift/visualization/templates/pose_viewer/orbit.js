"use strict";
// An eye that turns around a target in a scene with z up.
(function (viewer) {
  const HALF_FIELD_OF_VIEW = 0.28;
  const STEEPEST = 1.55;
  const NEAR = 0.05;
  // The part of the image that a fit fills, and the nearest that it goes.
  const FILLED = 0.8;
  const SMALLEST_RADIUS = 0.5;
  const RADIANS_PER_PIXEL = 0.008;

  class Orbit {
    constructor({azimuth, elevation, center, radius}) {
      this.home = {azimuth, elevation, target: [...center], radius};
      this.reset();
    }

    reset() {
      this.azimuth = this.home.azimuth;
      this.elevation = this.home.elevation;
      this.target = [...this.home.target];
      this.radius = this.home.radius;
      this.swung = 0;
    }

    /** Looks from `azimuth` away from the first view, at `elevation`. */
    look(azimuth, elevation) {
      this.azimuth = this.home.azimuth + azimuth;
      this.elevation = Math.max(-STEEPEST, Math.min(STEEPEST, elevation));
    }

    /** Swings by an angle about the first view, on top of whatever it was turned to. */
    swing(angle) {
      this.azimuth += angle - this.swung;
      this.swung = angle;
    }

    /** Turns as if the scene were dragged by so many pixels. */
    turn(right, down) {
      this.azimuth -= right * RADIANS_PER_PIXEL;
      this.elevation = Math.max(-STEEPEST, Math.min(STEEPEST, this.elevation + down * RADIANS_PER_PIXEL));
    }

    /** Goes as near as lets all points be seen: [[x, y, z], ...] in an image of that size. */
    fit(points, width, height) {
      if (!points.length || !(width > 0) || !(height > 0)) return;
      const {x, y, z} = this.axes();
      const dot = (axis, point) => axis[0] * point[0] + axis[1] * point[1] + axis[2] * point[2];
      const seen = points.map((point) => [dot(x, point), dot(y, point), dot(z, point)]);
      const middle = [0, 1, 2].map((axis) => {
        const values = seen.map((point) => point[axis]);
        return (values.reduce((a, b) => Math.min(a, b)) + values.reduce((a, b) => Math.max(a, b))) / 2;
      });
      const focal = this.focal(width, height);
      // A point is seen where its offset over its depth is below these.
      const [across, up] = [FILLED * width / 2 / focal, FILLED * height / 2 / focal];
      const distances = seen.map((point) => Math.max(
        Math.abs(point[0] - middle[0]) / across, Math.abs(point[1] - middle[1]) / up) - point[2] + middle[2]);
      const distance = Math.max(SMALLEST_RADIUS, distances.reduce((a, b) => Math.max(a, b)));
      this.radius = distance * Math.sin(HALF_FIELD_OF_VIEW);
      this.target = [0, 1, 2].map((axis) => middle[0] * x[axis] + middle[1] * y[axis] + middle[2] * z[axis]);
    }

    zoom(factor) {
      this.radius = Math.max(0.1, Math.min(20 * this.home.radius, this.radius / factor));
    }

    /** Shifts the scene by so many pixels of an image of that size. */
    shift(right, down, width, height) {
      const {x, y} = this.axes();
      const meters = this.distance() / this.focal(width, height);
      this.target = this.target.map((value, axis) => value - meters * (right * x[axis] - down * y[axis]));
    }

    focal(width, height) {
      return 0.5 * Math.min(width, height) / Math.tan(HALF_FIELD_OF_VIEW);
    }

    distance() {
      return this.radius / Math.sin(HALF_FIELD_OF_VIEW);
    }

    /** The image's axes in the scene: x right, y up, z away. */
    axes() {
      const [ca, sa] = [Math.cos(this.azimuth), Math.sin(this.azimuth)];
      const [ce, se] = [Math.cos(this.elevation), Math.sin(this.elevation)];
      return {x: [ca, sa, 0], y: [-sa * se, ca * se, ce], z: [-sa * ce, ca * ce, -se]};
    }

    /** Gives a function from a point to {x, y, z, scale}: pixels, depth, pixels per meter. */
    projector(width, height) {
      const {x, y, z} = this.axes();
      const focal = this.focal(width, height);
      const distance = this.distance();
      const target = this.target;
      return (px, py, pz) => {
        const [dx, dy, dz] = [px - target[0], py - target[1], pz - target[2]];
        const depth = z[0] * dx + z[1] * dy + z[2] * dz + distance;
        if (!(depth > NEAR)) return null;
        const scale = focal / depth;
        return {
          x: width / 2 + scale * (x[0] * dx + x[1] * dy + x[2] * dz),
          y: height / 2 - scale * (y[0] * dx + y[1] * dy + y[2] * dz),
          z: depth,
          scale,
        };
      };
    }
  }

  /** Lists points as they are and turned by an angle to both sides about the middle of them all. */
  function swept(points, angle) {
    if (!points.length) return points;
    const middle = [0, 1].map((axis) => {
      const values = points.map((point) => point[axis]);
      return (values.reduce((a, b) => Math.min(a, b)) + values.reduce((a, b) => Math.max(a, b))) / 2;
    });
    return [-angle, 0, angle].flatMap((turn) => points.map(([x, y, z]) => {
      const [dx, dy] = [x - middle[0], y - middle[1]];
      const [cosine, sine] = [Math.cos(turn), Math.sin(turn)];
      return [middle[0] + cosine * dx - sine * dy, middle[1] + sine * dx + cosine * dy, z];
    }));
  }

  viewer.orbit = {Orbit, swept};
})(globalThis.poseViewer ??= {});
