"use strict";
// The style sheet's colors for drawing, and which skeleton gets which.
(function (viewer) {
  const NUM_COLORS = 6;
  // How much of the background the left side takes where colors tell tracks apart.
  const LEFT_SHARE = 0.42;

  function channels(hex) {
    return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
  }

  /** Mixes colors such as #0072b2; `share` of the second. */
  function mix(first, second, share) {
    const others = channels(second);
    const mixed = channels(first).map((value, index) => Math.round(value + share * (others[index] - value)));
    return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
  }

  /** Those that colors tell apart: no references, and nobody who is seen poorly. */
  function colored(clip) {
    return clip.tracks.filter((track) => !track.isReference && !track.doubt);
  }

  /** Whether one skeleton is judged alone, so that colors are free to tell its sides. */
  function tellsSides(clip) {
    return colored(clip).length < 2;
  }

  /** Reads the colors, where `read` gives the value of a name of the style sheet. */
  function palette(clip, read) {
    const judged = colored(clip);
    const shared = Object.fromEntries(
      ["background", "text", "faint", "grid", "shadow", "reference"].map((name) => [name, read(name)]));
    const stage = read("stage");
    const plain = (track) => {
      if ((track.isReference && judged.length) || track.doubt) return shared.reference;
      return tellsSides(clip) ? read("side-left") : read(`track-${judged.indexOf(track) % NUM_COLORS}`);
    };
    const table = clip.tracks.map((track) => {
      if (track.isReference || track.doubt) return {left: plain(track), middle: plain(track), right: plain(track)};
      if (tellsSides(clip)) {
        return {left: read("side-left"), middle: read("side-middle"), right: read("side-right")};
      }
      return {left: mix(plain(track), stage, LEFT_SHARE), middle: plain(track), right: plain(track)};
    });
    return {...shared, background: stage, plain, of: (track, side) => table[track.index][side]};
  }

  viewer.palette = {mix, palette, tellsSides};
})(globalThis.poseViewer ??= {});
