/* What the parts of the tracker need of its backup jobs (backup.c); not for its users. */
#ifndef BACKUP_H
#define BACKUP_H

#include "tracker.h"

/* Whether the job could start, and its start: the bitmap is frozen. The disk has been drained in between. */
enum refusal check_backup(const struct tracker *tracker, const struct action *action);
void begin_backup(struct tracker *tracker, const struct action *action, uint64_t group);
/* Frees a job, as if it had never been. */
void free_job(struct job *job);

/* Copy before write: whether a write needs a copy that is not on its way yet; and all the copies that it needs. */
bool must_save(const struct tracker *tracker, const struct disk *disk, uint64_t offset, uint64_t length);
void save_before_write(struct tracker *tracker, const struct disk *disk, uint64_t offset, uint64_t length);

/* The copies in flight from this disk end well. Jobs do not go on by that: settle() is yet to come. */
void end_copies(struct tracker *tracker, const struct disk *disk);

/* Jobs with nothing left to copy go on: to waiting, with their group to pending, to their end. */
void settle(struct tracker *tracker);

#endif
