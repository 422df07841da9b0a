/* One bitmap, one job, BLOCKS blocks: the small alphabet of proofs/cbtproofs/scopes.py, written again in Promela.

   It is a second copy of the specification, made by hand, for one purpose: to see what the exploration of the same graph costs
   in SPIN. It proves nothing, and it is believed as far as its counts of states and transitions equal the explorer's.

   A set of blocks is a bit vector. All that a state of cbtmodel has is here, ghosts included (of a job's `copying` there is
   nothing: in this alphabet no copy is ever in flight). What is absent is 0, so that equal states are equal vectors.
   Each command is one d_step that is executable exactly if the command is accepted, and ends where it began: so SPIN
   stores the states between commands and no others. */

#ifndef BLOCKS
#define BLOCKS 2
#endif
#define ALL ((1 << BLOCKS) - 1)

mtype = { no_job, running, pending };
mtype = { mode_on_success, mode_never, mode_always };

/* the bitmap, and its successor */
bool present, is_enabled, frozen, heir_enabled;
byte dirty, owed, causes, heir_dirty, heir_owed, heir_causes;

/* the job */
mtype phase = no_job;
mtype mode = mode_on_success;  /* also while there is no job */
bool paused;
byte todo, scope, intact, good;

#define FREE (present && !frozen)

inline forget_job() {
    phase = no_job; mode = mode_on_success; paused = 0;
    todo = 0; scope = 0; intact = 0; good = 0
}

/* The successor takes the place of the bitmap; `keep` is what is merged into it. */
inline succeed(keep_dirty, keep_owed, keep_causes) {
    dirty = heir_dirty | (keep_dirty); owed = heir_owed | (keep_owed); causes = heir_causes | (keep_causes);
    is_enabled = heir_enabled;
    frozen = 0; heir_enabled = 0; heir_dirty = 0; heir_owed = 0; heir_causes = 0;
    forget_job()
}

inline complete() {
    if
    :: mode == mode_never -> succeed(dirty, owed, causes)
    :: else -> succeed(0, 0, 0)
    fi
}

inline give_up() {
    if
    :: mode == mode_always -> succeed(todo, owed & ~good, todo)
    :: else -> succeed(dirty, owed, causes)
    fi
}

/* A job that has copied everything ends, or waits to be finalized: with mode `never`. */
inline settle() {
    if
    :: phase == running && !paused && todo == 0 ->
        if
        :: mode == mode_never -> phase = pending
        :: else -> complete()
        fi
    :: else
    fi
}

inline start(new_mode) {
    phase = running; mode = new_mode; paused = 0;
    todo = dirty; scope = dirty; intact = ALL; good = 0;
    frozen = 1; heir_enabled = is_enabled; heir_dirty = 0; heir_owed = 0; heir_causes = 0;
    settle()
}

inline copied(blocks) {
    good = (good & ~(blocks)) | ((blocks) & intact);
    todo = todo & ~(blocks)
}

inline write(here) {
    if
    :: phase != no_job -> copied(todo & (here)); intact = intact & ~(here)
    :: else
    fi;
    if
    :: present && frozen && heir_enabled ->
        heir_dirty = heir_dirty | (here); heir_owed = heir_owed | (here); heir_causes = heir_causes | (here)
    :: present && !frozen && is_enabled ->
        dirty = dirty | (here); owed = owed | (here); causes = causes | (here)
    :: else
    fi;
    settle()
}

#define CAN_COPY(here) (phase == running && !paused && (todo & (here)))
#define OF_BLOCK(here) \
    :: d_step { write(here) } \
    :: d_step { CAN_COPY(here) -> copied(here); settle() } \
    :: d_step { CAN_COPY(here) -> give_up() }

active proctype everything() {
    do
    :: d_step { !present -> present = 1; is_enabled = 1 }
    :: d_step { FREE -> present = 0; is_enabled = 0; dirty = 0; owed = 0; causes = 0 }
    :: d_step { FREE -> dirty = 0; owed = 0; causes = 0 }
    :: d_step { FREE -> is_enabled = 1 }
    :: d_step { FREE -> is_enabled = 0 }
    :: d_step { FREE -> start(mode_on_success) }
    :: d_step { FREE -> start(mode_never) }
    :: d_step { FREE -> start(mode_always) }
    :: d_step { phase == running && !paused -> paused = 1 }
    :: d_step { phase == running && paused -> paused = 0; settle() }
    :: d_step { phase != no_job -> give_up() }
    :: d_step { phase == pending -> complete() }
    OF_BLOCK(1)
#if BLOCKS > 1
    OF_BLOCK(2)
#endif
#if BLOCKS > 2
    OF_BLOCK(4)
#endif
#if BLOCKS > 3
    OF_BLOCK(8)
#endif
#if BLOCKS > 4
    OF_BLOCK(16)
#endif
#if BLOCKS > 5
    OF_BLOCK(32)
#endif
#if BLOCKS > 6
    OF_BLOCK(64)
#endif
    od
}
