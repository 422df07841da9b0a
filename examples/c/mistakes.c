#include "mistakes.h"

#include <string.h>

static const char *const names[MISTAKES] = {
    [NO_MISTAKE] = "",
    [FAILED_WRITE_FORGOTTEN] = "failed-write-forgotten",
    [DISCARD_FORGOTTEN] = "discard-forgotten",
    [TAIL_FORGOTTEN] = "tail-forgotten",
    [ROUNDS_INWARDS] = "rounds-inwards",
    [FROZEN_RECORDS] = "frozen-records",
    [NO_COPY_BEFORE_WRITE] = "no-copy-before-write",
    [BUSY_UNCHECKED] = "busy-unchecked",
    [MERGE_REPLACES] = "merge-replaces",
    [MERGE_BY_NUMBER] = "merge-by-number",
    [TRANSACTION_HALF_DONE] = "transaction-half-done",
    [FAILURE_DROPS] = "failure-drops",
    [CANCEL_COMPLETES] = "cancel-completes",
    [START_WITHOUT_DRAIN] = "start-without-drain",
    [GROUP_ALONE] = "group-alone",
    [ERROR_IGNORED] = "error-ignored",
    [WRONG_KIND] = "wrong-kind",
};

static enum mistake chosen = NO_MISTAKE;

bool make_mistake(const char *name)
{
    for (enum mistake each = NO_MISTAKE; each < MISTAKES; each++) {
        if (strcmp(names[each], name) == 0) {
            chosen = each;
            return true;
        }
    }
    return false;
}

bool mistaken(enum mistake mistake)
{
    return chosen == mistake;
}

const char *mistake_name(enum mistake mistake)
{
    return names[mistake];
}
