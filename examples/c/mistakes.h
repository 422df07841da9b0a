/* Mistakes that the tracker makes on request (`--mistake NAME`), one at a time, to see that the suite notices them.
 * They are those of real implementations. A copy of this code for real use does without this file: take
 * every `mistaken(...)` for false. */
#ifndef MISTAKES_H
#define MISTAKES_H

#include <stdbool.h>

enum mistake {
    NO_MISTAKE,
    FAILED_WRITE_FORGOTTEN,         /* a write that failed is not recorded, although the disk may have changed */
    DISCARD_FORGOTTEN,              /* a discard is not recorded */
    TAIL_FORGOTTEN,                 /* nothing is recorded in a last granule that goes beyond the end of the disk */
    ROUNDS_INWARDS,                 /* only granules that are written as a whole are recorded */
    FROZEN_RECORDS,                 /* a frozen bitmap goes on recording itself, and its successor does not */
    NO_COPY_BEFORE_WRITE,           /* guest writes do not wait for the old content to be saved */
    BUSY_UNCHECKED,                 /* bitmaps are cleared, disabled and merged while a job uses them */
    MERGE_REPLACES,                 /* a merge overwrites what the target had */
    MERGE_BY_NUMBER,                /* a merge takes granules by their number, whatever their size */
    TRANSACTION_HALF_DONE,          /* what a refused transaction did before stays done */
    FAILURE_DROPS,                  /* a backup that failed is treated like one that completed */
    CANCEL_COMPLETES,               /* a cancelled backup is reported as completed */
    START_WITHOUT_DRAIN,            /* a backup starts while guest writes are in flight */
    GROUP_ALONE,                    /* the failure of one job does not end the others of its group */
    ERROR_IGNORED,                  /* a cluster that could not be copied counts as copied */
    WRONG_KIND,                     /* a bitmap in use is refused as if the request were malformed */
    MISTAKES,
};

/* Chooses the mistake of this process. False if there is none of this name. */
bool make_mistake(const char *name);
bool mistaken(enum mistake mistake);
/* The name of each mistake, "" for none. */
const char *mistake_name(enum mistake mistake);

#endif
