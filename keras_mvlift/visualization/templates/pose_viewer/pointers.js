"use strict";
// Mouse, pen and fingers on the 3D view.
(function (viewer) {
  const WHEEL = 0.0015;

  /** Turns, moves and zooms with pointers; calls `changed` after. */
  function attach(canvas, orbit, changed) {
    const held = new Map();
    const spread = () => {
      const [one, other] = [...held.values()];
      return Math.hypot(one.x - other.x, one.y - other.y);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, {x: event.clientX, y: event.clientY});
    });
    canvas.addEventListener("pointermove", (event) => {
      const old = held.get(event.pointerId);
      if (!old) return;
      const [right, down] = [event.clientX - old.x, event.clientY - old.y];
      const before = held.size === 2 ? spread() : 0;
      held.set(event.pointerId, {x: event.clientX, y: event.clientY});
      if (held.size === 2) {
        orbit.zoom(Math.max(spread(), 1) / Math.max(before, 1));
        orbit.shift(right / 2, down / 2, canvas.clientWidth, canvas.clientHeight);
      } else if (event.shiftKey || event.buttons === 2) {
        orbit.shift(right, down, canvas.clientWidth, canvas.clientHeight);
      } else {
        orbit.turn(right, down);
      }
      changed();
    });
    for (const ending of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(ending, (event) => held.delete(event.pointerId));
    }
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      orbit.zoom(Math.exp(-event.deltaY * WHEEL));
      changed();
    }, {passive: false});
  }

  viewer.pointers = {attach};
})(globalThis.poseViewer ??= {});
