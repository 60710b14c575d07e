"use strict";
// The error of each frame as a curve that can be clicked.
(function (viewer) {
  const MARGIN = {left: 58, right: 12, top: 10, bottom: 20};

  /** Least and greatest value in each of `columns` equal parts; null where there is none. */
  function envelope(values, columns) {
    const found = new Array(columns).fill(null);
    for (let index = 0; index < values.length; index++) {
      const value = values[index];
      if (Number.isNaN(value)) continue;
      const column = Math.min(columns - 1, Math.floor(index * columns / values.length));
      const old = found[column];
      found[column] = old ? [Math.min(old[0], value), Math.max(old[1], value)] : [value, value];
    }
    return found;
  }

  /** Round numbers from 0 to the first one at or above the greatest value. */
  function ticks(greatest) {
    const rough = Math.max(greatest, 1e-6) / 3;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
    const count = Math.ceil(greatest / step) || 1;
    return Array.from({length: count + 1}, (_, index) => Number((index * step).toPrecision(6)));
  }

  function greatestOf(curves) {
    let greatest = 0;
    for (const {values} of curves) for (const value of values) if (value > greatest) greatest = value;
    return greatest;
  }

  class ErrorCurve {
    constructor(canvas, clip) {
      Object.assign(this, {canvas, clip, curves: []});
    }

    /** Takes the curves to draw: [{values, color}]. */
    show(curves) {
      this.curves = curves;
      this.ticks = ticks(greatestOf(curves));
    }

    frameAt(x) {
      const share = (x - MARGIN.left) / (this.canvas.clientWidth - MARGIN.left - MARGIN.right);
      return Math.round(share * (this.clip.numFrames - 1));
    }

    draw(frame, colors) {
      const {context, width, height} = viewer.prepare(this.canvas);
      const right = width - MARGIN.right;
      const bottom = height - MARGIN.bottom;
      const top = this.ticks[this.ticks.length - 1];
      const down = (value) => bottom - (bottom - MARGIN.top) * value / top;
      const across = (index) => MARGIN.left + (right - MARGIN.left) * index / Math.max(1, this.clip.numFrames - 1);
      this.drawAxes(context, colors, right, down);
      for (const curve of this.curves) this.drawCurve(context, curve, right, down);
      context.strokeStyle = context.fillStyle = colors.text;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(across(frame), MARGIN.top - 4);
      context.lineTo(across(frame), bottom);
      context.stroke();
      for (const {values, color} of this.curves) {
        if (Number.isNaN(values[frame])) continue;
        context.beginPath();
        context.arc(across(frame), down(values[frame]), 4, 0, 2 * Math.PI);
        context.fillStyle = color;
        context.fill();
      }
    }

    drawAxes(context, colors, right, down) {
      context.font = `12px ${colors.font}`;
      context.textBaseline = "middle";
      context.lineWidth = 1;
      for (const tick of this.ticks) {
        context.strokeStyle = colors.grid;
        context.beginPath();
        context.moveTo(MARGIN.left, down(tick));
        context.lineTo(right, down(tick));
        context.stroke();
        context.fillStyle = colors.faint;
        context.textAlign = "right";
        const unit = tick === this.ticks[this.ticks.length - 1] ? " mm" : "";
        context.fillText(`${tick}${unit}`, MARGIN.left - 6, down(tick));
      }
      const seconds = this.clip.numFrames / this.clip.frameRate;
      context.textBaseline = "alphabetic";
      context.textAlign = "left";
      context.fillText("0 s", MARGIN.left, down(0) + 15);
      context.textAlign = "right";
      context.fillText(`${seconds.toFixed(1)} s`, right, down(0) + 15);
    }

    drawCurve(context, {values, color}, right, down) {
      const columns = Math.max(2, Math.min(values.length, Math.floor(right - MARGIN.left)));
      const width = (right - MARGIN.left) / Math.max(1, columns - 1);
      context.strokeStyle = color;
      context.lineWidth = 1.6;
      context.lineJoin = "round";
      context.beginPath();
      let isOn = false;
      envelope(values, columns).forEach((range, column) => {
        const x = MARGIN.left + column * width;
        if (range && !isOn) context.moveTo(x, down(range[0]));
        if (range) range.forEach((value) => context.lineTo(x, down(value)));
        isOn = range !== null;
      });
      context.stroke();
    }
  }

  viewer.errorCurve = {ErrorCurve, envelope, ticks};
})(globalThis.poseViewer ??= {});
