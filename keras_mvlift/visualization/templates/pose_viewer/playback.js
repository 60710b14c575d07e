"use strict";
// Which frame is shown at which time.
(function (viewer) {
  // A page that was in the background goes on where it was.
  const LONGEST_STEP_MS = 1000;

  class Playback {
    constructor(numFrames, frameRate) {
      Object.assign(this, {numFrames, frameRate, speed: 1, loops: true, isPlaying: false});
      this.position = 0;
      this.last = 0;
    }

    get frame() {
      return Math.min(Math.floor(this.position), this.numFrames - 1);
    }

    play(now) {
      if (!this.loops && this.frame === this.numFrames - 1) this.position = 0;
      this.isPlaying = true;
      this.last = now;
    }

    pause() {
      this.isPlaying = false;
    }

    /** Shows a frame; those beyond the ends are the ends. */
    seek(frame) {
      this.position = Math.max(0, Math.min(this.numFrames - 1, Math.round(frame)));
    }

    /** Goes on to a time in milliseconds; tells whether another frame is due. */
    tick(now) {
      if (!this.isPlaying) return false;
      const before = this.frame;
      // The time of a browser's frame may be before the click that came in it.
      const elapsed = Math.max(0, Math.min(now - this.last, LONGEST_STEP_MS));
      this.last = now;
      this.position += elapsed / 1000 * this.frameRate * this.speed;
      if (this.position >= this.numFrames) {
        this.position = this.loops ? this.position % this.numFrames : this.numFrames - 1;
        this.isPlaying = this.loops;
      }
      return this.frame !== before;
    }
  }

  viewer.playback = {Playback};
})(globalThis.poseViewer ??= {});
