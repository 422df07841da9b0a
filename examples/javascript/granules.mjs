import {mistaken} from './mistakes.mjs';

/** Which granules of a disk are dirty. Offsets, lengths and sizes are in bytes; ranges are rounded outwards. */
export class Granules {
  /** Clean. `granularity` is a power of two. */
  constructor(size, granularity) {
    this.size = size;
    this.granularity = granularity;
    this.bits = new Uint8Array(Math.ceil(size / granularity)); // the last granule may go beyond the end of the disk
  }

  copy() {
    const copy = new Granules(this.size, this.granularity);
    copy.bits.set(this.bits);
    return copy;
  }

  /** Every granule that the range touches, even in part, is dirty (or clean). A range of no length touches none. */
  set(offset, length, dirty = true) {
    if (length === 0) return;
    const first = Math.floor(offset / this.granularity);
    const last = Math.floor((offset + length - 1) / this.granularity);
    this.bits.fill(dirty ? 1 : 0, first, last + 1);
  }

  /** Whatever touches a dirty granule of another bitmap of this disk, or of one of the same size, is dirty here, too. */
  merge(other) {
    for (const [offset, length] of other.extents()) this.set(offset, length);
  }

  get empty() {
    return !this.bits.includes(1);
  }

  /** Runs of dirty granules, [offset, length], within a range of bytes; cut off at its ends and at that of the disk. */
  extents(from = 0, to = this.size) {
    const found = [];
    let at = Math.floor(from / this.granularity);
    const past = Math.min(this.bits.length, Math.ceil(to / this.granularity));
    while ((at = this.bits.indexOf(1, at)) >= 0 && at < past) {
      let end = this.bits.indexOf(0, at);
      if (end < 0 || end > past) end = past;
      const begin = Math.max(from, at * this.granularity);
      found.push([begin, Math.min(to, this.size, end * this.granularity) - begin]);
      at = end;
    }
    return found;
  }

  /** A guest write of this range. */
  record(offset, length) {
    if (mistaken('rounds-inwards')) {
      const first = Math.ceil(offset / this.granularity);
      const past = Math.floor((offset + length) / this.granularity);
      if (past > first) this.bits.fill(1, first, past);
    } else if (mistaken('tail-forgotten')) {
      const whole = Math.floor(this.size / this.granularity) * this.granularity;
      if (offset < whole) this.set(offset, Math.min(length, whole - offset));
    } else {
      this.set(offset, length);
    }
  }
}
