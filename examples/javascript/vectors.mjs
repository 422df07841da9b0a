// Plays the static test vectors of cbtspec (conformance/vectors/README.md) on the tracker and its backup program.
//
//     node vectors.mjs [--mistake NAME] FILE...
//
// Exit code: 0 all that could be played is as it should be; 2 something differs; 1 a file cannot be read; 64 usage.

import {readFileSync} from 'node:fs';
import {BackupProgram} from './backup.mjs';
import {Granules} from './granules.mjs';
import {readArguments} from './mistakes.mjs';
import {Refused, Tracker, check} from './tracker.mjs';

/** The words that a vector may need. Those with a number are there for every number. */
const WORDS = new Set([
  'add-bitmap', 'remove-bitmap', 'clear-bitmap', 'enable-bitmap', 'disable-bitmap', 'merge-bitmaps', 'disabled',
  'write', 'zeroes', 'discard', 'failed-write', 'ignored-discard', 'start-backup', 'copy', 'cancel-job', 'finalize-job',
  'manual-finalize', 'failed-copy', 'never', 'always', 'transaction', 'grouped', 'tails', 'refusals',
]);
const COUNTED = /^(disks|jobs|granularity|cluster):\d+$/;

class Differs extends Error {
  constructor(verdict, text) {
    super(text);
    this.verdict = verdict;
  }
}

function expect(condition, verdict, text) {
  if (!condition) throw new Differs(verdict, text);
}

/** Does a command; returns the kind of its refusal, '' if there was none. */
function perform(tracker, backups, command) {
  try {
    act(tracker, backups, command);
    return '';
  } catch (error) {
    if (error instanceof Refused) return error.kind;
    throw error;
  }
}

function act(tracker, backups, command, group) {
  const {node, name} = command;
  switch (command.do) {
    case 'add-bitmap': return tracker.addBitmap(node, name, command.granularity, command.enabled);
    case 'remove-bitmap': return tracker.removeBitmap(node, name);
    case 'clear-bitmap': return tracker.clearBitmap(node, name);
    case 'enable-bitmap': return tracker.enableBitmap(node, name);
    case 'disable-bitmap': return tracker.enableBitmap(node, name, false);
    case 'merge-bitmaps': return tracker.mergeBitmaps(node, command.target, command.sources);
    case 'abort': throw new Refused('aborted', 'as asked for');
    case 'start-backup':
      backups.start(command, group);
      return group === undefined && backups.settle(); // in a transaction only at its end
    case 'copy': return backups.copy(command.job, command.offset, command.length, command.result);
    case 'finalize-job': return backups.finalize(command.job);
    case 'cancel-job': return backups.cancel(command.job);
    case 'write': return write(tracker, backups, command);
    case 'transaction': return transaction(tracker, backups, command);
    default: throw new Refused('invalid', `no command ${command.do}`);
  }
}

function write(tracker, backups, {node, offset, length, kind, result, fill}) {
  if (result === 'ignored') {
    tracker.checkedRange(node, offset, length);
    check(kind === 'discard', 'invalid', 'only a discard can be ignored');
    return;
  }
  backups.write(node, offset, length, kind === 'write' ? fill : 0, result);
}

function transaction(tracker, backups, {actions, grouped}) {
  check(!grouped || actions.every((action) => action.do === 'start-backup'), 'invalid', 'only backups can be grouped');
  const together = {};
  tracker.transaction(actions.map((action) => () => act(tracker, backups, action, grouped ? together : {})));
  backups.settle();
}

// Checks

function granules(extents, size) {
  const set = new Granules(size, 512);
  for (const extent of extents) set.set(...extent);
  return set;
}

/** Both are of granules of 512 bytes. */
function within(small, large) {
  return small.bits.every((bit, index) => bit <= large.bits[index]);
}

function checkBounds(where, mine, {must, may}, size) {
  const dirty = granules(mine.extents(), size);
  expect(within(granules(must, size), dirty), 'unsafe', `${where}: something is missing that must be there`);
  expect(within(dirty, granules(may, size)), 'wasteful', `${where}: there is more than may be`);
}

/** The byte -1 is any. */
function same(bytes, runs) {
  let at = 0;
  for (const [byte, count] of runs) {
    if (byte >= 0 && !bytes.subarray(at, at + count).equals(Buffer.alloc(count, byte))) return false;
    at += count;
  }
  return at === bytes.length;
}

function checkEnded(expected, mine) {
  for (const {job, outcome} of mine) {
    const known = expected.some((each) => each.job === job && each.outcome === outcome);
    expect(known, outcome === 'completed' ? 'unsafe' : 'diverges', `job ${job} has ended: ${outcome}`);
  }
  for (const {job, outcome, copied, target} of expected) {
    const found = mine.find((each) => each.job === job);
    expect(found !== undefined, 'diverges', `job ${job} has not ended: expected ${outcome}`);
    expect(same(found.target, target), 'unsafe', `the target of job ${job} is not the disk at its start`);
    checkBounds(`copied by job ${job}`, found.copied, {must: copied, may: copied}, found.target.length);
  }
}

function checkAfter(tracker, backups, after) {
  for (const expected of after.bitmaps) {
    const {node, name} = expected;
    const {size, bitmaps} = tracker.disks.get(node);
    const mine = bitmaps.get(name);
    expect(mine !== undefined, 'unsafe', `bitmap ${name} of ${node} is gone`);
    expect(mine.granularity === expected.granularity, 'diverges', `the granularity of ${name}`);
    expect(mine.enabled === expected.recording, expected.recording ? 'unsafe' : 'diverges', `whether ${name} records`);
    expect(mine.busy === expected.busy, 'diverges', `whether ${name} is busy`);
    checkBounds(name, mine.dirty, expected, size);
    expect((mine.successor === null) === (expected.successor === null), 'diverges', `whether ${name} has a successor`);
    if (mine.successor !== null) checkBounds(`the successor of ${name}`, mine.successor, expected.successor, size);
  }
  const count = [...tracker.disks.values()].reduce((sum, disk) => sum + disk.bitmaps.size, 0);
  expect(count === after.bitmaps.length, 'diverges', `there are ${count} bitmaps`);
  for (const {job, phase, copied} of after.jobs) {
    const mine = backups.jobs.get(job);
    expect(mine !== undefined, 'diverges', `job ${job} is gone`);
    expect(mine.phase === phase, 'diverges', `job ${job}: expected ${phase}; seen: ${mine.phase}`);
    checkBounds(`copied by job ${job}`, mine.copied, {must: copied, may: copied}, mine.size);
  }
  expect(backups.jobs.size === after.jobs.length, 'diverges', `there are ${backups.jobs.size} jobs`);
  for (const {node, content} of after.disks) {
    expect(same(tracker.disks.get(node).data, content), 'diverges', `the content of ${node}`);
  }
}

/** Targets laid over zeroes, oldest first. */
function checkRestore({jobs, content}, ended) {
  const results = jobs.map((id) => ended.findLast((each) => each.job === id));
  const image = Buffer.alloc(results[0].target.length);
  for (const {copied, target} of results) {
    for (const [offset, length] of copied.extents()) target.copy(image, offset, offset, offset + length);
  }
  expect(same(image, content), 'unsafe', 'what is restored is not the disk at the start of the last job');
}

// Playing

function play(vector) {
  const tracker = new Tracker(vector.disks.map(({name, size}) => [name, size]));
  const backups = new BackupProgram(tracker);
  let number = 0;
  try {
    for (const step of vector.steps) {
      number += 1;
      const before = backups.ended.length;
      const kind = perform(tracker, backups, step.command);
      const asExpected = step.refused.length > 0 ? step.refused.includes(kind) : kind === '';
      expect(asExpected, 'diverges', `expected ${step.refused[0] ?? 'accepted'}; seen: ${kind || 'accepted'}`);
      checkEnded(step.ended, backups.ended.slice(before));
      checkAfter(tracker, backups, step.after);
    }
    for (const restore of vector.restores) checkRestore(restore, backups.ended);
    return true;
  } catch (difference) {
    if (!(difference instanceof Differs)) throw difference;
    const {id, title, bug} = vector;
    console.log(`${id}: ${difference.verdict}\n    ${title}\n    step ${number}: ${difference.message}`);
    if (bug?.link) console.log(`    ${bug.link}`);
    return false;
  }
}

function readVectors(name) {
  try {
    const file = JSON.parse(readFileSync(name, 'utf8'));
    if (file.format !== 'cbtspec-vectors' || file.version !== 1) throw new Error('no test vectors of version 1');
    return file.vectors;
  } catch (error) {
    console.error(`${name}: ${error.message}`);
    process.exit(1);
  }
}

const files = readArguments(process.argv.slice(2));
if (files.length === 0) {
  console.error('usage: node vectors.mjs [--mistake NAME] FILE...');
  process.exit(64);
}
const vectors = files.flatMap(readVectors);
const playable = vectors.filter(({needs}) => needs.every((word) => WORDS.has(word) || COUNTED.test(word)));
const good = playable.filter(play).length;
const skipped = vectors.length - playable.length;
const bad = playable.length - good;
console.log(`${playable.length} vectors played: ${good} as they should be, ${bad} not; ${skipped} skipped`);
process.exitCode = bad === 0 ? 0 : 2;
