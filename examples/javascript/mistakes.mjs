// Mistakes that the tracker makes on request (`--mistake NAME`), one at a time, to see that the suite notices them. They
// are those of real implementations. A copy for real use does without: take every `mistaken(...)` for false.

export const MISTAKES = {
  'rounds-inwards': 'only granules that are written as a whole are recorded',
  'tail-forgotten': 'nothing is recorded in a last granule that goes beyond the end of the disk',
  'zeroes-forgotten': 'a write of zeroes is not recorded',
  'frozen-records': 'a frozen bitmap goes on recording itself, and its successor does not',
  'failure-drops': 'a backup that failed is treated like one that completed',
  'left-forgotten': 'bitmap mode always forgets what was left to copy',
  'busy-unchecked': 'bitmaps are cleared, removed and merged while a backup uses them',
  'merge-replaces': 'a merge overwrites what the target had',
  'transaction-half-done': 'what a refused transaction did before stays done',
  'name-unchecked': 'a bitmap may have an empty name, or one of any length',
  'no-snapshot': 'a backup reads the disk as it is now, not as it was at its start',
};

let chosen = null;

/** Reads `--mistake NAME` from the arguments of the process; the others are returned. */
export function readArguments(given) {
  if (given[0] !== '--mistake') return given;
  if (!(given[1] in MISTAKES)) {
    console.error(`--mistake is one of: ${Object.keys(MISTAKES).join(' ')}`);
    process.exit(64);
  }
  chosen = given[1];
  return given.slice(2);
}

export function mistaken(name) {
  return name === chosen;
}
