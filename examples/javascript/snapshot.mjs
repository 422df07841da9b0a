import {mistaken} from './mistakes.mjs';

const PAGE = 4096;

/** A disk as it was at one instant. Before a page of the disk changes for the first time, it is saved here. */
export class Snapshot {
  constructor(disk) {
    this.disk = disk;
    this.saved = new Map(); // by the number of the page
  }

  /** To be called before these bytes of the disk change. */
  save(offset, length) {
    if (length === 0 || mistaken('no-snapshot')) return;
    const last = Math.floor((offset + length - 1) / PAGE);
    for (let page = Math.floor(offset / PAGE); page <= last; page++) {
      if (this.saved.has(page)) continue;
      this.saved.set(page, Buffer.from(this.disk.data.subarray(page * PAGE, (page + 1) * PAGE)));
    }
  }

  read(offset, length) {
    const bytes = Buffer.from(this.disk.data.subarray(offset, offset + length));
    if (length === 0) return bytes;
    const last = Math.floor((offset + length - 1) / PAGE);
    for (let page = Math.floor(offset / PAGE); page <= last; page++) {
      const from = Math.max(offset, page * PAGE);
      this.saved.get(page)?.copy(bytes, from - offset, from - page * PAGE, offset + length - page * PAGE);
    }
    return bytes;
  }
}
