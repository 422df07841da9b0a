// A small backup program on top of the tracker: what the suite itself does with a tracker like this (`"copies":"suite"`).
//
// It copies what a bitmap has, cluster by cluster, from the snapshot to a fresh target, and tells the tracker how that
// went. Nothing happens by itself: the caller asks for every copy, and says how it goes.

import {Granules} from './granules.mjs';
import {check, isGranularity} from './tracker.mjs';

const UNTOUCHED = 238; // every byte of a fresh target, so that it is seen where one was written

export class BackupProgram {
  constructor(tracker) {
    this.tracker = tracker;
    this.jobs = new Map(); // those that run, by id
    this.ended = []; // those that have ended: {job, outcome, copied, target}
  }

  /** Starts a job. `group`: an object that all jobs share that end together. */
  start(request, group = {}) {
    const {job, node, sync, bitmap, bitmap_mode, cluster, auto_finalize} = request;
    const mode = sync === 'incremental' ? 'on-success' : bitmap_mode;
    check(cluster >= 0 && cluster < 2 ** 32, 'invalid', 'that is no cluster size');
    const {size} = this.tracker.disk(node);
    check(sync === 'full' || bitmap !== null, 'invalid', 'this needs a bitmap');
    check(bitmap_mode === null || bitmap_mode === mode, 'invalid', 'incremental means on-success');
    const source = bitmap === null ? null : this.tracker.bitmap(node, bitmap);
    check(source === null || mode !== null, 'invalid', 'a bitmap needs a bitmap mode');
    check(source === null || !source.busy, 'busy', 'the bitmap is in use');
    check(mode !== 'never' || sync === 'bitmap', 'invalid', 'bitmap mode never is for sync bitmap');
    check(source !== null || mode === null, 'invalid', 'a bitmap mode needs a bitmap');
    check(/^[A-Za-z][A-Za-z0-9._-]*$/.test(job), 'invalid', 'that is no id of a job');
    check(!this.jobs.has(job), 'exists', `there is a job ${job}`);
    check(isGranularity(cluster), 'invalid', 'the cluster size is not a power of two, at least 512');

    const todo = new Granules(size, cluster);
    if (sync === 'full') todo.set(0, size);
    else todo.merge(source.dirty);
    this.tracker.startBackup(job, node, bitmap, mode);
    this.tracker.undo(() => this.jobs.delete(job));
    const copied = new Granules(size, cluster);
    const target = Buffer.alloc(size, UNTOUCHED);
    const auto = auto_finalize;
    this.jobs.set(job, {id: job, node, size, cluster, group, todo, copied, target, auto, phase: 'running'});
  }

  job(id) {
    check(this.jobs.has(id), 'not found', `there is no job ${id}`);
    return this.jobs.get(id);
  }

  /** Copies what is left to copy of the clusters that a range touches; `result`: how the environment lets that go. */
  copy(id, offset, length, result) {
    const job = this.job(id);
    check(offset >= 0 && length >= 0 && offset + length <= job.size, 'invalid', 'beyond the end of the disk');
    check(job.phase === 'running', 'wrong phase', 'there is nothing left to copy');
    const extents = this.left(job, offset, length);
    check(extents.length > 0, 'invalid', 'nothing is left to copy there');
    if (result !== 'ok') this.endGroup(job, 'failed', 'cancelled');
    else this.save(job, extents);
    this.settle();
  }

  left(job, offset, length) {
    if (length === 0) return [];
    const first = Math.floor(offset / job.cluster) * job.cluster;
    return job.todo.extents(first, Math.min(job.size, Math.ceil((offset + length) / job.cluster) * job.cluster));
  }

  save(job, extents) {
    for (const [offset, length] of extents) {
      this.tracker.read(job.id, offset, length).copy(job.target, offset);
      job.todo.set(offset, length, false);
      job.copied.set(offset, length);
    }
  }

  /**
   * A guest writes. What it hits is saved: otherwise the snapshot would have to keep the old content until then. It is
   * the snapshot that is read, so this can as well be done after the write.
   */
  write(node, offset, length, fill, result) {
    this.tracker.checkedRange(node, offset, length);
    const hit = [...this.jobs.values()].filter((job) => job.node === node);
    const needed = hit.some((job) => this.left(job, offset, length).length > 0);
    check(result !== 'copy failed' || !needed, 'copy failed', 'the old content could not be saved');
    this.tracker.write(node, offset, length, fill);
    for (const job of hit) this.save(job, this.left(job, offset, length));
    this.settle();
  }

  finalize(id) {
    const job = this.job(id);
    check(job.phase === 'pending', 'wrong phase', 'the job is not pending');
    this.endGroup(job, 'completed', 'completed');
  }

  cancel(id) {
    this.endGroup(this.job(id), 'cancelled', 'cancelled');
  }

  members(group) {
    return [...this.jobs.values()].filter((job) => job.group === group);
  }

  /** Jobs that have copied everything go on: to waiting, with their group to pending, and then to their end. */
  settle() {
    for (const job of this.jobs.values()) if (job.phase === 'running' && job.todo.empty) job.phase = 'waiting';
    for (const job of [...this.jobs.values()]) {
      const group = this.members(job.group);
      if (!this.jobs.has(job.id) || group.some((member) => member.phase !== 'waiting')) continue;
      for (const member of group) member.phase = 'pending';
      if (group.every((member) => member.auto)) this.endGroup(job, 'completed', 'completed');
    }
  }

  endGroup(first, outcome, ofOthers) {
    for (const job of this.members(first.group)) {
      const own = job === first ? outcome : ofOthers;
      this.jobs.delete(job.id);
      this.tracker.endBackup(job.id, own === 'completed', job.todo.extents());
      this.ended.push({job: job.id, outcome: own, copied: job.copied, target: job.target});
    }
  }
}
