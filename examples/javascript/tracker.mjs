// A tracker of changed blocks: disks in memory, their dirty bitmaps, and snapshots for a backup program.
//
// A bitmap says which granules of a disk were written since somebody last made a backup with it. A backup freezes it:
// from then on a *successor* records. When the backup has succeeded, the successor takes the bitmap's place; otherwise
// the two are one again. So the name always stands for a bitmap, and every write is in it, or in its successor.

import {Granules} from './granules.mjs';
import {mistaken} from './mistakes.mjs';
import {Snapshot} from './snapshot.mjs';

/** What cannot be done. Nothing has changed. `kind` is one of the words of the protocol. */
export class Refused extends Error {
  constructor(kind, text) {
    super(text);
    this.kind = kind;
  }
}

/** Refuses unless something is true. */
export function check(condition, kind, text) {
  if (!condition) throw new Refused(kind, text);
}

export function isGranularity(value) {
  return value >= 512 && value <= 2 ** 31 && Number.isInteger(Math.log2(value));
}

class Bitmap {
  constructor(size, granularity, enabled) {
    this.granularity = granularity;
    this.enabled = enabled; // it records: in its successor, if it has one
    this.dirty = new Granules(size, granularity);
    this.successor = null;
    this.leaving = false; // removed by a transaction that may still fail
  }

  get busy() {
    return this.successor !== null || this.leaving;
  }
}

export class Tracker {
  /** `disks`: sizes in bytes by name. They are all zeroes. */
  constructor(disks) {
    this.disks = new Map();
    for (const [name, size] of disks) {
      this.disks.set(name, {size, data: Buffer.alloc(size), bitmaps: new Map(), snapshots: new Set()});
    }
    this.backups = new Map(); // by job: the disk, the bitmap if there is one, its mode, the snapshot
    this.journal = null; // in a transaction: how to undo, and what to do at its end
  }

  disk(node) {
    check(this.disks.has(node), 'not found', `there is no node ${node}`);
    return this.disks.get(node);
  }

  bitmap(node, name) {
    const {bitmaps} = this.disk(node);
    check(bitmaps.has(name), 'not found', `there is no bitmap ${name}`);
    return bitmaps.get(name);
  }

  freeBitmap(node, name) {
    const bitmap = this.bitmap(node, name);
    check(!bitmap.busy || mistaken('busy-unchecked'), 'busy', `bitmap ${name} is in use`);
    return bitmap;
  }

  // What an operator does. Each method checks, then says how to undo what it is about to do, then does it.

  addBitmap(node, name, granularity, enabled) {
    check(granularity >= 0 && granularity < 2 ** 32, 'invalid', 'that is no granularity');
    check(name !== '' || mistaken('name-unchecked'), 'invalid', 'the name is empty');
    const {size, bitmaps} = this.disk(node);
    check(isGranularity(granularity), 'invalid', 'the granularity is not a power of two from 512 to 2^31');
    check(!bitmaps.has(name), 'exists', `there is a bitmap ${name}`);
    const fits = Buffer.byteLength(name) <= 1023;
    check(fits || mistaken('name-unchecked'), 'invalid', 'the name is too long');
    this.undo(() => bitmaps.delete(name));
    bitmaps.set(name, new Bitmap(size, granularity, enabled));
  }

  /** Until the end of a transaction the name is taken. */
  removeBitmap(node, name) {
    const bitmap = this.freeBitmap(node, name);
    this.undo(() => (bitmap.leaving = false));
    bitmap.leaving = true;
    this.finally(() => this.disk(node).bitmaps.delete(name));
  }

  clearBitmap(node, name) {
    const bitmap = this.freeBitmap(node, name);
    const before = bitmap.dirty;
    this.undo(() => (bitmap.dirty = before));
    bitmap.dirty = new Granules(before.size, before.granularity);
  }

  enableBitmap(node, name, enabled = true) {
    const bitmap = this.freeBitmap(node, name);
    const before = bitmap.enabled;
    this.undo(() => (bitmap.enabled = before));
    bitmap.enabled = enabled;
  }

  /** All sources, [{node, name}], or none. They keep what they have. */
  mergeBitmaps(node, name, sources) {
    const target = this.bitmap(node, name);
    for (const source of sources) {
      this.bitmap(source.node, source.name);
      this.freeBitmap(node, name);
      this.freeBitmap(source.node, source.name);
      check(this.disk(source.node).size === this.disk(node).size, 'size mismatch', 'the disks differ in size');
    }
    const before = target.dirty;
    const merged = before.copy();
    for (const source of sources) {
      if (mistaken('merge-replaces')) merged.bits.fill(0);
      merged.merge(this.bitmap(source.node, source.name).dirty);
    }
    this.undo(() => (target.dirty = before));
    target.dirty = merged;
  }

  /** Freezes a bitmap (null for none), and takes a snapshot. `mode`: on-success, never, always. */
  startBackup(job, node, name, mode) {
    const disk = this.disk(node);
    const bitmap = name === null ? null : this.bitmap(node, name);
    check(bitmap === null || !bitmap.busy, 'busy', `bitmap ${name} is in use`);
    const snapshot = new Snapshot(disk);
    this.undo(() => {
      this.backups.delete(job);
      disk.snapshots.delete(snapshot);
      if (bitmap !== null) bitmap.successor = null;
    });
    this.backups.set(job, {disk, bitmap, mode: mode ?? 'on-success', snapshot});
    disk.snapshots.add(snapshot);
    if (bitmap !== null) bitmap.successor = new Granules(disk.size, bitmap.granularity);
  }

  /** Several of the above, as functions to call; all of them, or none. */
  transaction(actions) {
    const journal = (this.journal = {undo: [], finally: []});
    try {
      for (const action of actions) action();
    } catch (error) {
      if (!mistaken('transaction-half-done')) journal.undo.reverse().forEach((step) => step());
      throw error;
    } finally {
      this.journal = null;
    }
    journal.finally.forEach((step) => step());
  }

  undo(step) {
    this.journal?.undo.push(step);
  }

  /** At the end of the transaction, if it goes well; at once if there is none. */
  finally(step) {
    if (this.journal) this.journal.finally.push(step);
    else step();
  }

  // What a guest does.

  /** A write of bytes that all are `fill`. */
  write(node, offset, length, fill) {
    const disk = this.checkedRange(node, offset, length);
    for (const snapshot of disk.snapshots) snapshot.save(offset, length);
    disk.data.fill(fill, offset, offset + length);
    for (const bitmap of disk.bitmaps.values()) {
      const recorder = mistaken('frozen-records') ? bitmap.dirty : (bitmap.successor ?? bitmap.dirty);
      if (bitmap.enabled && !(fill === 0 && mistaken('zeroes-forgotten'))) recorder.record(offset, length);
    }
  }

  checkedRange(node, offset, length) {
    const disk = this.disk(node);
    check(offset >= 0 && length >= 0 && offset + length <= disk.size, 'invalid', 'beyond the end of the disk');
    return disk;
  }

  // What a backup program does.

  backup(job) {
    check(this.backups.has(job), 'not found', `there is no backup ${job}`);
    return this.backups.get(job);
  }

  /** The bytes as they were when the backup started. */
  read(job, offset, length) {
    const {disk, snapshot} = this.backup(job);
    check(offset >= 0 && length >= 0 && offset + length <= disk.size, 'invalid', 'beyond the end of the disk');
    return snapshot.read(offset, length);
  }

  /** `left`: what was not copied, [[offset, length], …]; it matters to bitmap mode always, after a failure. */
  endBackup(job, success, left) {
    const {disk, bitmap, mode, snapshot} = this.backup(job);
    this.backups.delete(job);
    disk.snapshots.delete(snapshot);
    if (bitmap === null) return;
    const well = success || mistaken('failure-drops');
    if (mode === 'never' || (mode === 'on-success' && !well)) {
      bitmap.dirty.merge(bitmap.successor);
    } else {
      bitmap.dirty = bitmap.successor;
      if (!well && !mistaken('left-forgotten')) for (const extent of left) bitmap.dirty.set(...extent);
    }
    bitmap.successor = null;
  }
}
