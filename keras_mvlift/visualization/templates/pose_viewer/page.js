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
  // Whoever goes farther is followed.
  const FAR = 2.6;
  let colors = null;
  let hovered = null;
  let told = -1;
  let isDue = false;

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
    const found = stage.draw(frame, legend.shown, colors, hovered);
    if (clip.inputs.length) inputView.draw(frame, legend.shown, colors, hovered);
    if (judged.length) curve.draw(frame, colors);
    tellFrame(frame);
    tellPlaying();
    tellJoint(found, frame);
    if (player.isPlaying) redraw();
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
    if (found.confidence !== null) lines.push(`confidence ${found.confidence.toFixed(2)}`);
    if (found.uncertainty > 0) lines.push(`± ${(1000 * found.uncertainty).toFixed(0)} mm`);
    if (error !== null) lines.push(`${error.toFixed(0)} mm off, pelvis on pelvis`);
    const text = lines.join("\n");
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
    const points = viewer.marks.extent(clip, clip.tracks, stage.isSpread, isFollowing);
    orbit.fit(points, byId("stage").clientWidth, byId("stage").clientHeight);
    followed = [0, 0, 0];
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
    byId("color-note").textContent = viewer.palette.tellsSides(clip)
      ? "Blue: the person's left side. Paler: less sure." : "Lighter: the person's left side. Paler: less sure.";
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
