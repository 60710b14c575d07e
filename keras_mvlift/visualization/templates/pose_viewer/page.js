"use strict";
// Joins the parts to the page.
(function (viewer) {
  const byId = (id) => document.getElementById(id);
  const clip = viewer.decoding.decode(JSON.parse(byId("clip").textContent));
  const player = new viewer.playback.Playback(clip.numFrames, clip.frameRate);
  const orbit = new viewer.orbit.Orbit({...clip.viewpoint, center: clip.center, radius: clip.radius});
  const stage = new viewer.stage.Stage(byId("stage"), clip, orbit);
  const inputView = new viewer.inputView.InputView(byId("image"), clip);
  const curve = new viewer.errorCurve.ErrorCurve(byId("curve"), clip);
  const legend = new viewer.legend.Legend(byId("tracks"), clip, () => showCurves());
  const judged = clip.tracks.filter((track) => track.errors.length);
  const PLAY = "M7 4v16l13-8z";
  const PAUSE = "M6 4h4.5v16H6zM13.5 4H18v16h-4.5z";
  const LOOKS = {front: [0, 0.1], side: [Math.PI / 2, 0.1], top: [0, 1.55]};
  const [NEAR_POINTER, NEAR_FINGER] = [16, 30];
  // The first view swings until it is touched: radians to each side, and milliseconds there and back;
  // a page that nobody touches comes to rest, too.
  const [SWING, PERIOD, REST] = [0.35, 16000, 96000];
  // Where the camera is seen, it is seen from behind, beside and above; on narrow screens people alone are.
  const BESIDE = [0.65, 0.3];
  const WIDE = 760;
  // Whoever goes farther is followed.
  const FAR = 2.6;
  let colors = null;
  let hovered = null;
  let told = -1;
  let isDue = false;
  let isTurning = !globalThis.matchMedia("(prefers-reduced-motion: reduce)").matches;
  let turnedSince = null;

  function redraw() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(draw);
  }

  function draw(now) {
    isDue = false;
    player.tick(now);
    const frame = player.frame;
    if (byId("follow").checked) follow(frame);
    if (isTurning) swing(now);
    if (clip.inputs.length) inputView.draw(frame, legend.shown, colors, hovered);
    const found = stage.draw(frame, legend.shown, colors, hovered);
    if (judged.length) curve.draw(frame, colors);
    tellFrame(frame);
    tellPlaying();
    tellJoint(found, frame);
    if (player.isPlaying || isTurning) redraw();
  }

  function swing(now) {
    turnedSince ??= now;
    const angle = SWING * Math.sin(2 * Math.PI * (now - turnedSince) / PERIOD);
    orbit.swing(angle);
    isTurning = now - turnedSince < REST;
  }

  /** Moves the eye with the people that are shown. */
  function follow(frame) {
    const root = 3 * (frame * clip.numJoints + clip.parents.indexOf(-1));
    const places = legend.shown.map((track) => [...track.pose.subarray(root, root + 3)])
      .filter(([x]) => !Number.isNaN(x));
    if (!places.length) return;
    const place = [0, 1, 2].map((axis) => places.reduce((sum, other) => sum + other[axis], 0) / places.length);
    orbit.target = orbit.target.map((value, axis) => value + place[axis] - followed[axis]);
    followed = place;
  }
  let followed = [0, 0, 0];

  function tellFrame(frame) {
    if (told === frame) return;
    told = frame;
    const seconds = (frame / clip.frameRate).toFixed(2);
    byId("time").value = frame;
    byId("time").setAttribute("aria-valuetext", `frame ${clip.firstFrame + frame}, ${seconds} seconds`);
    byId("now").textContent = `${seconds} s · frame ${clip.firstFrame + frame}`;
    legend.tellErrors(frame);
  }

  function tellPlaying() {
    const label = player.isPlaying ? "Pause" : "Play";
    if (byId("play").getAttribute("aria-label") === label) return;
    byId("play").setAttribute("aria-label", label);
    byId("play-shape").setAttribute("d", player.isPlaying ? PAUSE : PLAY);
  }

  function tellJoint(found, frame) {
    const tip = byId("tip");
    tip.hidden = !found;
    if (!found) return;
    const lines = [`${found.name} · ${found.track.name}`];
    const error = viewer.marks.jointError(clip, found.track, frame, found.joint);
    const missed = viewer.marks.missed(clip, found.track, frame, found.joint);
    const place = viewer.marks.position(clip, found.track, frame, found.joint);
    lines.push(`${place.map(([axis, value]) => `${axis} ${value.toFixed(2)}`).join("  ")} m`);
    if (found.confidence !== null) lines.push(`confidence ${found.confidence.toFixed(2)}`);
    if (found.uncertainty > 0) lines.push(`± ${(1000 * found.uncertainty).toFixed(0)} mm`);
    if (error !== null) lines.push(`${error.toFixed(0)} mm off, pelvis on pelvis`);
    if (missed !== null) lines.push(`${missed.toFixed(1)} px off what was lifted`);
    const text = lines.join("\n");
    tip.ariaLive = player.isPlaying ? "off" : "polite";
    if (tip.textContent !== text) tip.textContent = text;
    const {clientWidth: width, clientHeight: height} = byId("stage");
    tip.style.left = `${Math.max(4, Math.min(width - tip.offsetWidth - 4, found.x + 16))}px`;
    tip.style.top = `${Math.max(4, Math.min(height - tip.offsetHeight - 4, found.y - 12))}px`;
  }

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    byId("theme").textContent = theme === "dark" ? "Light" : "Dark";
    const style = getComputedStyle(document.documentElement);
    colors = viewer.palette.palette(clip, (name) => style.getPropertyValue(`--${name}`).trim());
    colors.font = getComputedStyle(document.body).fontFamily;
    legend.paint(colors);
    showCurves();
  }

  function showCurves() {
    curve.show(legend.curves(colors));
    redraw();
  }

  /** Goes as near as shows everybody, wherever they are in the clip. */
  function fit() {
    const isFollowing = byId("follow").checked;
    stage.isSpread = byId("spread").checked;
    stage.camera = byId("camera").checked ? inputView : null;
    const tracks = clip.tracks.filter((track) => !track.doubt || legend.shown.includes(track));
    const points = viewer.marks.extent(clip, tracks, stage.isSpread, isFollowing);
    if (stage.camera) points.push(...viewer.camera.frustum(clip.camera, inputView.area));
    orbit.fit(isTurning ? viewer.orbit.swept(points, SWING) : points, byId("stage").clientWidth, byId("stage").clientHeight);
    showPaths();
    followed = [0, 0, 0];
    redraw();
  }

  /** Draws where the pelvis goes, and the joint that is chosen. */
  function showPaths() {
    const root = clip.parents.indexOf(-1);
    const chosen = Number(byId("path").value);
    const joints = chosen < 0 ? [] : [...new Set([root, chosen])];
    stage.paths = clip.tracks.flatMap((track) => joints.map(
      (joint) => ({track, places: viewer.marks.path(clip, track, joint, stage.isSpread)})));
    redraw();
  }

  /** Tells the values of another joint of those shown, as if the pointer were on it. */
  function pickJoint(step) {
    const every = legend.shown.flatMap((track) => clip.joints.map((_, joint) => ({track, joint})));
    const before = every.findIndex(({track, joint}) => track === hovered?.track && joint === hovered?.joint);
    const next = before < 0 && step < 0 ? every.length - 1 : before + step;
    hovered = every[(next + every.length) % every.length] ?? null;
    redraw();
  }

  const actions = {
    toggle() {
      if (player.isPlaying) player.pause();
      else player.play(performance.now());
      redraw();
    },
    seek(frame) { player.seek(frame); redraw(); },
    step(frames) { player.pause(); actions.seek(player.frame + frames); },
    turn(right, down) { orbit.turn(right, down); redraw(); },
    zoom(factor) { orbit.zoom(factor); redraw(); },
    look(azimuth, elevation) { orbit.look(azimuth, elevation); fit(); },
    reset() { orbit.reset(); fit(); },
    turnTheme() { setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"); },
    toggleTrack(index) { legend.toggle(index); },
    pickJoint,
  };

  function point(canvas, view) {
    return (event) => {
      const box = canvas.getBoundingClientRect();
      const reach = event.pointerType === "mouse" ? NEAR_POINTER : NEAR_FINGER;
      hovered = viewer.marks.nearest(view.joints, event.clientX - box.left, event.clientY - box.top, reach);
      redraw();
    };
  }

  function setUp() {
    byId("input").hidden = !clip.inputs.length;
    byId("errors").hidden = !judged.length;
    byId("time").max = clip.numFrames - 1;
    byId("stage").setAttribute("aria-label", `Skeletons of ${clip.tracks.map((track) => track.name).join(", ")}`);
    byId("color-note").textContent = `${viewer.palette.tellsSides(clip) ? "Blue" : "Lighter"}: the person's left side. `
      + `Paler: less sure.${clip.floor.isEstimated ? " The floor is estimated from the feet." : ""}`;
    const numDoubtful = clip.tracks.filter((track) => track.doubt).length;
    byId("doubtful-row").hidden = !numDoubtful;
    byId("doubtful-name").textContent = `Poorly seen people (${numDoubtful})`;
    byId("camera-row").hidden = !clip.camera;
    byId("camera").checked = Boolean(clip.camera) && globalThis.innerWidth > WIDE;
    if (byId("camera").checked) {
      const [right, away] = clip.camera.axes[2];
      orbit.look(Math.atan2(-right, away) - clip.viewpoint.azimuth + BESIDE[0], BESIDE[1]);
    }
    byId("path").append(new Option("none", -1), ...clip.joints.map((name, joint) => new Option(name, joint)));
    byId("path").value = clip.space === "root" || clip.numFrames < 2 ? -1 : clip.parents.indexOf(-1);
    byId("path-row").hidden = clip.numFrames < 2;
    byId("spread-row").hidden = new Set(clip.slots).size < 2;
    byId("spread").checked = clip.areApart;
    byId("follow-row").hidden = clip.space === "root";
    byId("follow").checked = clip.space !== "root" && clip.radius > FAR;
    const kinds = judged.length ? judged[0].errors : [];
    byId("error-kind").append(...kinds.map((kind, index) => new Option(kind.name, index)));
    byId("curve").setAttribute("aria-label", judged.map(
      (track) => `${track.name}: mean ${track.errors[0].name} ${track.errors[0].mean} mm`).join("; "));
  }

  function listen() {
    byId("play").addEventListener("click", actions.toggle);
    byId("back").addEventListener("click", () => actions.step(-1));
    byId("on").addEventListener("click", () => actions.step(1));
    byId("time").addEventListener("input", () => actions.seek(Number(byId("time").value)));
    byId("speed").addEventListener("change", () => { player.speed = Number(byId("speed").value); });
    byId("loop").addEventListener("change", () => { player.loops = byId("loop").checked; });
    byId("spread").addEventListener("change", fit);
    byId("follow").addEventListener("change", fit);
    byId("camera").addEventListener("change", fit);
    byId("path").addEventListener("change", showPaths);
    byId("doubtful").addEventListener("change", () => { legend.showDoubtful(byId("doubtful").checked); fit(); });
    byId("reset").addEventListener("click", actions.reset);
    byId("theme").addEventListener("click", actions.turnTheme);
    byId("error-kind").addEventListener("change", () => {
      legend.errorKind = Number(byId("error-kind").value);
      legend.tellErrors(player.frame);
      showCurves();
    });
    for (const button of document.querySelectorAll("[data-look]")) {
      button.addEventListener("click", () => actions.look(...LOOKS[button.dataset.look]));
    }
    for (const kind of ["pointerdown", "wheel", "keydown"]) {
      globalThis.addEventListener(kind, () => { isTurning = false; }, {capture: true, passive: true});
    }
    new ResizeObserver(redraw).observe(byId("stage"));
    inputView.onload = redraw;
    viewer.keys.listen(clip, actions);
  }

  function listenToPointers() {
    viewer.pointers.attach(byId("stage"), orbit, redraw);
    for (const [id, view] of [["stage", stage], ["image", inputView]]) {
      for (const kind of ["pointermove", "pointerdown"]) byId(id).addEventListener(kind, point(byId(id), view));
      byId(id).addEventListener("pointerleave", () => { hovered = null; redraw(); });
    }
    for (const kind of ["pointerdown", "pointermove"]) {
      byId("curve").addEventListener(kind, (event) => {
        if (kind === "pointerdown") byId("curve").setPointerCapture(event.pointerId);
        if (event.buttons) actions.seek(curve.frameAt(event.offsetX));
      });
    }
  }

  setUp();
  listen();
  listenToPointers();
  setTheme(globalThis.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  fit();
})(globalThis.poseViewer ??= {});
