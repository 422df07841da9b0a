/* The commands of the adapter protocol, and of test vectors, done on a tracker. */
#ifndef REQUESTS_H
#define REQUESTS_H

#include "json.h"
#include "tracker.h"

/* Does what the object asks for: its member `do` is the name of a command. INVALID also if there is no such command,
 * or a member is missing, or is not what it should be. */
enum refusal perform(struct tracker *tracker, const struct json *request);

/* Forgets everything; then there are these disks: [{"name":…,"size":…},…]. */
enum refusal reset(struct tracker *tracker, const struct json *disks);

/* How the protocol calls things. */
const char *refusal_name(enum refusal refusal);
const char *phase_name(const struct job *job);
const char *outcome_name(enum outcome outcome);

#endif
