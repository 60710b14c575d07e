"use strict";
// The list of skeletons that shows and hides each, and tells its error.
(function (viewer) {
  class Legend {
    constructor(list, clip, changed) {
      Object.assign(this, {clip, changed, errorKind: 0});
      this.rows = clip.tracks.map((track) => this.addRow(list, track));
    }

    /** The tracks that are shown. */
    get shown() {
      return this.clip.tracks.filter((track) => this.rows[track.index].box.checked);
    }

    addRow(list, track) {
      const [row, label, box, swatch, name, error] =
        ["li", "label", "input", "span", "span", "small"].map((tag) => document.createElement(tag));
      Object.assign(box, {type: "checkbox", checked: !track.doubt, id: `show-${track.index}`});
      box.addEventListener("change", this.changed);
      swatch.className = "swatch";
      if (track.isReference) swatch.classList.add("reference");
      else if (viewer.palette.tellsSides(this.clip) && !track.doubt) swatch.classList.add("sides");
      Object.assign(name, {textContent: track.name, className: "name"});
      if (track.doubt) error.textContent = track.doubt;
      label.append(box, swatch, name, ...(track.errors.length || track.doubt ? [error] : []));
      row.append(label);
      list.append(row);
      return {box, swatch, error};
    }

    paint(colors) {
      for (const track of this.clip.tracks) this.rows[track.index].swatch.style.borderColor = colors.plain(track);
    }

    tellErrors(frame) {
      for (const track of this.clip.tracks) {
        const error = track.errors[this.errorKind];
        if (!error) continue;
        const now = error.frames[frame];
        const mean = error.mean === null ? "none" : `${error.mean.toFixed(1)} mm`;
        this.rows[track.index].error.textContent =
          `${Number.isNaN(now) ? "absent" : `${now.toFixed(1)} mm`} now, mean ${mean}`;
      }
    }

    /** The curves of the tracks that are shown, for `ErrorCurve.show`. */
    curves(colors) {
      return this.shown.filter((track) => track.errors[this.errorKind]).map(
        (track) => ({values: track.errors[this.errorKind].frames, color: colors.plain(track)}));
    }

    /** Shows or hides all who are hidden at first. */
    showDoubtful(isShown) {
      for (const track of this.clip.tracks) if (track.doubt) this.rows[track.index].box.checked = isShown;
      this.changed();
    }

    toggle(index) {
      this.rows[index]?.box.click();
    }
  }

  viewer.legend = {Legend};
})(globalThis.poseViewer ??= {});
