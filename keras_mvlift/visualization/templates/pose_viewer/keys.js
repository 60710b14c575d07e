"use strict";
// What keys do, wherever the focus is.
(function (viewer) {
  const TURN_PIXELS = 20;
  const ZOOM = 1.15;

  /** Tells what a key does, from what the page can do; null for none. */
  function action(event, clip, page) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const frames = event.shiftKey ? Math.max(1, Math.round(clip.frameRate)) : 1;
    const actions = {
      " ": page.toggle,
      ArrowLeft: () => page.step(-frames),
      ArrowRight: () => page.step(frames),
      Home: () => page.seek(0),
      End: () => page.seek(clip.numFrames - 1),
      a: () => page.turn(-TURN_PIXELS, 0),
      d: () => page.turn(TURN_PIXELS, 0),
      w: () => page.turn(0, -TURN_PIXELS),
      s: () => page.turn(0, TURN_PIXELS),
      "+": () => page.zoom(ZOOM),
      "=": () => page.zoom(ZOOM),
      "-": () => page.zoom(1 / ZOOM),
      0: page.reset,
      t: page.turnTheme,
      j: () => page.pickJoint(event.shiftKey ? -1 : 1),
    };
    if (/^[1-9]$/.test(key)) return () => page.toggleTrack(key - 1);
    return Object.hasOwn(actions, key) ? actions[key] : null;
  }

  /** Whether the browser itself has a use for the key there. */
  function isTaken(event) {
    const {tagName, type} = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || tagName === "SELECT") return true;
    return event.key === " " && (["BUTTON", "SUMMARY"].includes(tagName) || type === "checkbox");
  }

  function listen(clip, page) {
    document.addEventListener("keydown", (event) => {
      const found = isTaken(event) ? null : action(event, clip, page);
      if (!found) return;
      event.preventDefault();
      found();
    });
  }

  viewer.keys = {action, isTaken, listen};
})(globalThis.poseViewer ??= {});
