// Connects the tracker to cbtspec: a request a line on standard input, a reply a line on standard output.
//
//     cbtspec check exec -- node adapter.mjs [--mistake NAME]

import {createInterface} from 'node:readline';
import {readArguments} from './mistakes.mjs';
import {Refused, Tracker, check} from './tracker.mjs';

let tracker = new Tracker([]);

const HELLO = {
  protocol: 1,
  name: 'javascript',
  version: '1',
  language: 'JavaScript',
  capabilities: ['core', 'bitmaps', 'transactions', 'never', 'always', 'refusals', 'content', 'read'],
  copies: 'suite',
  granularities: [4096, 512, 65536],
  clusters: [4096, 512, 65536],
  batch: true,
  largest_disk: 64 * 1024 * 1024,
};

/** Each command gives the members of its reply, or nothing, or throws `Refused`. */
const COMMANDS = {
  hello: () => HELLO,
  bye: () => undefined,
  reset({disks}) {
    tracker = new Tracker(disks.map(({name, size}) => [name, size]));
  },
  observe({what, name}) {
    if (what === 'state') return state();
    check(what === 'disk', 'unsupported', `nobody can see ${what} here`);
    return {content: runs(tracker.disk(name).data)};
  },
  'add-bitmap': ({node, name, granularity, enabled}) => tracker.addBitmap(node, name, granularity, enabled),
  'remove-bitmap': ({node, name}) => tracker.removeBitmap(node, name),
  'clear-bitmap': ({node, name}) => tracker.clearBitmap(node, name),
  'enable-bitmap': ({node, name}) => tracker.enableBitmap(node, name),
  'disable-bitmap': ({node, name}) => tracker.enableBitmap(node, name, false),
  'merge-bitmaps': ({node, target, sources}) => tracker.mergeBitmaps(node, target, sources),
  'start-backup': ({job, node, bitmap, bitmap_mode}) => tracker.startBackup(job, node, bitmap, bitmap_mode),
  abort() {
    throw new Refused('aborted', 'as asked for');
  },
  transaction({actions, grouped}) {
    const onlyBackups = actions.every((action) => action.do === 'start-backup');
    check(onlyBackups || !grouped, 'invalid', 'only backups can be grouped');
    tracker.transaction(actions.map((action) => () => COMMANDS[action.do](action)));
  },
  write({node, offset, length, kind, fill}) {
    tracker.write(node, offset, length, kind === 'write' ? fill : 0);
  },
  read: ({job, offset, length}) => ({content: runs(tracker.read(job, offset, length))}),
  'end-backup': ({job, success, left}) => tracker.endBackup(job, success, left),
};

function state() {
  const bitmaps = [];
  const successors = [];
  for (const [node, disk] of tracker.disks) {
    for (const [name, bitmap] of disk.bitmaps) {
      const {granularity, enabled: recording, busy} = bitmap;
      bitmaps.push({node, name, granularity, recording, busy, dirty: bitmap.dirty.extents()});
      if (bitmap.successor !== null) {
        successors.push({node, granularity, recording, dirty: bitmap.successor.extents()});
      }
    }
  }
  return {bitmaps, successors};
}

/** Bytes as runs of equal ones: [byte, how many]. */
function runs(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length; ) {
    let end = at + 1;
    while (end < bytes.length && bytes[end] === bytes[at]) end++;
    found.push([bytes[at], end - at]);
    at = end;
  }
  return found;
}

function answer({seq, ...request}) {
  const command = Object.hasOwn(COMMANDS, request.do) ? COMMANDS[request.do] : undefined;
  try {
    check(command !== undefined, 'unsupported', `no command ${request.do}`);
    return {seq, ...command(request)};
  } catch (error) {
    if (error instanceof Refused) return {seq, error: error.kind, text: error.message};
    console.error(error); // a defect of this program: who knows what has happened
    return {seq, error: 'internal', text: String(error), definite: false};
  }
}

readArguments(process.argv.slice(2));
for await (const line of createInterface({input: process.stdin})) {
  const request = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(answer(request))}\n`);
  if (request.do === 'bye') break;
}
process.stdin.destroy();
