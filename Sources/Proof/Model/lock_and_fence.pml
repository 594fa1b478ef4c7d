/*
 * Holdfast's lock and fence on one key: three lock nodes, PostgreSQL, the value node, and clients (workers) that claim the
 * key's line, acquire, record, write, extend, release and settle. `Sources/Proof/Model/check` searches every state of it.
 *
 * Time is order only. A lock may lapse on its node at any moment, but not while a validity lasts that counts the node's
 * vote: validity begins before the vote is asked for, and is shorter than the lock. A client that runs stops before its
 * validity ends; one that pauses goes on after the end where it was. One that never goes on has crashed, and a message
 * that is late is a pause of its sender.
 *
 * Left out is what only keeps others out: an answer that is lost (the vote is not counted), a release that is lost or late
 * (the lock may lapse at once). So is what the lock takes for granted: clocks that don't step, and a PostgreSQL and a
 * value node that keep what they have.
 *
 * A claim takes a run of up to RUN jobs, and one hold serves them, one after the other. Each has a fence of its own, drawn
 * with the claim's: they rise, and are lower than those of any later claim. Only one client has them, and it uses them in
 * their order; so the claim's fence stands for all of them.
 *
 * CLIENTS, JOBS, RUN and QUORUM are numbers. PAUSES lets clients pause beyond their validity, RESTARTS lets lock nodes restart
 * without their data, FAILURES lets a job fail for good with nothing written, and FORGETFUL_VALUE lets the value node
 * forget. ONE_VALID and ONE_INSIDE ask for more than safe effects: no two valid holds, and no two clients that act as
 * holders. NO_… and BLIND_… are bugs. REACH is the number of a POINT that is to be reached: one that never is would check
 * nothing.
 */
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifdef NO_LOCK
#define QUORUM 0
#endif
#ifndef QUORUM
#define QUORUM 2
#endif
#ifndef JOBS
#define JOBS 2
#endif

#ifndef RUN
#define RUN 1
#endif

#ifndef REACH
#define REACH 0
#endif
#define POINT(n) assert(REACH != n)

/* Lock nodes. */
byte token[3];          /* whose lock a node has: a client's number + 1; for the token of each try, see release */
bool quarantined[3];    /* it has restarted, and has no vote until whatever it may have forgotten has lapsed */

/* PostgreSQL: one line of jobs, and the sequence of fences. Each transaction is one step. */
byte head = 1;          /* the first job that is not finished */
byte lineFence;         /* of the claim that has the line; 0 when it is free */

/* The value node. */
byte value;             /* the fence of the value that is there */

/* Clients. Votes are sets of nodes, a bit each. */
byte fence[CLIENTS];    /* of its claim; 0 when it has none */
byte asked[CLIENTS];    /* votes for the acquisition or extension under way, as long as they count */
byte held[CLIENTS];     /* votes that its hold is valid by; none when its validity has ended */
bool inside[CLIENTS];   /* it acts as a holder */

#define me              _pid
#define BIT(n)          (1 << (n))
#define COUNT(votes)    (((votes) & 1) + (((votes) >> 1) & 1) + (((votes) >> 2) & 1))
#define IS_CURRENT      (lineFence == fence[me])
#ifdef NO_VALIDITY_CHECK    /* an acquisition that takes longer than the locks last counts */
#define RELIES_ON(c, n) (held[c] & BIT(n))
#else
#define RELIES_ON(c, n) ((held[c] | asked[c]) & BIT(n))
#endif
#define HIGHER(a, b)    (a > b -> a : b)
#if CLIENTS == 2
#define IS_ANY_RELYING_ON(n) (RELIES_ON(0, n) || RELIES_ON(1, n))
#define IS_ANY_VALID    (held[0] || held[1])
#define INSIDE          (inside[0] + inside[1])
#define HIGHEST_FENCE   HIGHER(value, HIGHER(fence[0], fence[1]))
#define IS_UNUSED(f)    (value != f && fence[0] != f && fence[1] != f)
#elif CLIENTS == 3
#define IS_ANY_RELYING_ON(n) (RELIES_ON(0, n) || RELIES_ON(1, n) || RELIES_ON(2, n))
#define IS_ANY_VALID    (held[0] || held[1] || held[2])
#define INSIDE          (inside[0] + inside[1] + inside[2])
#define HIGHEST_FENCE   HIGHER(value, HIGHER(fence[0], HIGHER(fence[1], fence[2])))
#define IS_UNUSED(f)    (value != f && fence[0] != f && fence[1] != f && fence[2] != f)
#endif

/*
 * Fences are only compared. So those that nobody has any more are taken out, and the higher ones moved down: the search
 * has no bound on claims.
 */
#define CLOSE_GAP(f) \
    if \
    :: IS_UNUSED(f) -> \
        value = value - (value > f); \
        fence[0] = fence[0] - (fence[0] > f); \
        fence[1] = fence[1] - (fence[1] > f); \
        CLOSE_GAP_OF_THIRD(f) \
        lineFence = lineFence - (lineFence > f) \
    :: else \
    fi
#if CLIENTS == 3
#define CLOSE_GAP_OF_THIRD(f) fence[2] = fence[2] - (fence[2] > f);
#define CLOSE_GAPS CLOSE_GAP(3); CLOSE_GAP(2); CLOSE_GAP(1)
#else
#define CLOSE_GAP_OF_THIRD(f)
#define CLOSE_GAPS CLOSE_GAP(2); CLOSE_GAP(1)
#endif

#define FORGET_CLAIM fence[me] = 0; job = 0; first = 0; last = 0; recorded = 0; hasWritten = false; CLOSE_GAPS

/* The hold is valid now, by the votes that were asked for. */
inline hold() {
    held[me] = 0;
#ifdef ONE_VALID
    assert(!IS_ANY_VALID);
#endif
#ifdef ONE_INSIDE
    assert(INSIDE == 1);
#endif
    held[me] = asked[me];
    asked[me] = 0
}

/* A node grants the lock; where another's is nothing changes. */
#define ACQUIRE(n) d_step { \
        token[n] == 0 && !quarantined[n] -> \
        token[n] = me + 1; \
        asked[me] = asked[me] | BIT(n); \
        printf("client %d: has the vote of node %d\n", me + 1, n + 1) \
    }

/* A node keeps the lock for longer, if it still has this token. */
#ifdef BLIND_EXTENSION
#define IS_MINE(n) true
#else
#define IS_MINE(n) (token[n] == me + 1)
#endif
#define EXTEND(n) d_step { \
        IS_MINE(n) && !quarantined[n] && !(asked[me] & BIT(n)) -> \
        token[n] = me + 1; \
        asked[me] = asked[me] | BIT(n); \
        printf("client %d: has the vote of node %d again\n", me + 1, n + 1) \
    }

/* A node removes the lock, if it still has this token. */
#ifdef BLIND_RELEASE
#define RELEASE(n) token[n] = 0
#else
#define RELEASE(n) token[n] = (token[n] == me + 1 -> 0 : token[n])
#endif

active [CLIENTS] proctype Client() {
    byte job;           /* that is under way */
    byte first;         /* of its run, the first that is not settled */
    byte last;          /* of its run, the last that the hold may serve */
    byte recorded;      /* the last that the record of the hold names */
    bool hasWritten;    /* for the job that is under way */

end:
    do
    ::  /* Claim. */
        d_step {
            lineFence == 0 && head <= JOBS ->
            fence[me] = HIGHEST_FENCE + 1;
            lineFence = fence[me];
            job = head;
            first = head;
            last = (head + RUN - 1 < JOBS -> head + RUN - 1 : JOBS);
            printf("client %d: claims jobs %d to %d, fence %d\n", me + 1, job, last, fence[me])
        }

        /* Acquire: the nodes' votes come in any order, or not at all. */
        do
#ifndef NO_LOCK
        :: ACQUIRE(0)
        :: ACQUIRE(1)
        :: ACQUIRE(2)
#endif
        :: d_step {
                COUNT(asked[me]) >= QUORUM ->
                inside[me] = true;
                hold();
                printf("client %d: has the lock\n", me + 1)
            }
            break
        :: goto over
        od;

        /* The record before the task: a claim whose line was put back starts nothing. Safety does not depend on it. */
        if
        :: d_step {
                IS_CURRENT ->
#ifdef FIRST_ONLY
                recorded = job;
#else
                recorded = last;
#endif
                printf("client %d: its acquisition is recorded, for jobs up to %d\n", me + 1, recorded)
            }
        :: goto over
        fi;

        /*
         * The task writes, value and fence in one step; the hold is extended; both as often as they like. When it has
         * written, the hold may pass to the next job of the run, and what has passed may be settled.
         */
        do
        :: d_step {
#ifdef NO_WRITE_FENCE
                true ->
#else
                fence[me] >= value ->
#endif
                printf("client %d: writes for job %d, fence %d\n", me + 1, job, fence[me]);
                assert(fence[me] >= value);     /* no value is replaced by one of a lower fence */
                assert(job <= recorded);        /* no effect without a record */
                assert(head <= job);            /* nothing of a finished job takes hold: the last one submitted wins */
                value = fence[me];
                hasWritten = true;
                CLOSE_GAPS
            }
        :: d_step {
                fence[me] < value ->
                printf("client %d: its write is refused, for %d has written\n", me + 1, value);
                POINT(2)
            }
            break
        :: d_step {
                hasWritten && job < last ->
                job++;
                hasWritten = false;
                printf("client %d: passes its hold to job %d\n", me + 1, job)
            }
        :: d_step {
                IS_CURRENT && first < job ->
                printf("client %d: settles its jobs up to %d\n", me + 1, job - 1);
                assert(first == head);          /* no job is finished twice */
                assert(value == fence[me]);     /* what they wrote is there, or what came after them */
                head = job;
                first = job;
                POINT(7)
            }
#ifndef NO_LOCK
        :: EXTEND(0)
        :: EXTEND(1)
        :: EXTEND(2)
        :: d_step { COUNT(asked[me]) >= QUORUM -> hold(); printf("client %d: has extended\n", me + 1); POINT(4) }
#endif
        :: break
        od;

over:
        /* Release. What it does not reach lapses: nothing is left of it when the next try begins, with the next token. */
        if
        :: d_step {
                inside[me] = false;
                held[me] = 0;
                asked[me] = 0;
                RELEASE(0);
                RELEASE(1);
                RELEASE(2);
                printf("client %d: releases\n", me + 1)
            }
        fi;

        /* Settle: those that have passed are finished; the last one is finished or put back. */
        if
        :: d_step {
#ifdef FAILURES
                true ->
#else
                hasWritten ->
#endif
                if
#ifdef NO_SETTLE_FENCE
                :: true ->
#else
                :: IS_CURRENT ->
#endif
                    printf("client %d: finishes job %d\n", me + 1, job);
                    assert(first == head);                      /* no job is finished twice */
                    assert(!hasWritten || value == fence[me]);  /* what it wrote is there */
                    if :: first < job -> POINT(6) :: else fi;
                    head = job + 1;
                    lineFence = 0;
                    if :: head > JOBS -> POINT(1) :: else fi
                :: else -> printf("client %d: its settlement is refused\n", me + 1); POINT(3)
                fi;
                FORGET_CLAIM
            }
        :: d_step {
                if
                :: IS_CURRENT ->
                    printf("client %d: puts job %d back\n", me + 1, job);
                    assert(first == head);
                    assert(first == job || value == fence[me]);
                    head = job;
                    lineFence = 0
                :: else -> printf("client %d: has nothing to put back\n", me + 1)
                fi;
                FORGET_CLAIM
            }
        fi
    od
}

#define LAPSE(n) d_step { \
        token[n] && !RELIES_ON(token[n] - 1, n) -> \
        printf("node %d: the lock of client %d lapses\n", n + 1, token[n]); \
        token[n] = 0 \
    }

#ifdef NO_QUARANTINE
#define QUARANTINES false
#else
#define QUARANTINES true
#endif
#define RESTART(n) d_step { \
        token[n] || (QUARANTINES && !quarantined[n]) -> \
        printf("node %d: restarts without its data\n", n + 1); \
        token[n] = 0; \
        quarantined[n] = QUARANTINES \
    }

/* A TTL after its restart. Whoever counts the vote of a node that has none had it before. */
#define READMIT(n) d_step { \
        quarantined[n] && !IS_ANY_RELYING_ON(n) -> \
        printf("node %d: votes again\n", n + 1); \
        quarantined[n] = false; \
        POINT(5) \
    }

/*
 * An extension takes so long that the votes it has don't count any more; it may begin again. An acquisition that takes too
 * long is one that is given up.
 */
#define TOO_LATE(c) d_step { \
        inside[c] && asked[c] -> \
        printf("client %d: its extension comes too late\n", c + 1); \
        asked[c] = 0 \
    }

#define PAUSE(c) d_step { held[c] -> printf("client %d: pauses, and its hold ends\n", c + 1); held[c] = 0 }

/* What is not the clients' doing. */
active proctype World() {
end:
    do
    /* A rescue: the line's worker is dead, or taken for dead. */
    :: d_step { lineFence -> printf("the claim with fence %d is put back\n", lineFence); lineFence = 0 }
#ifndef NO_LOCK
    :: LAPSE(0)
    :: LAPSE(1)
    :: LAPSE(2)
    :: TOO_LATE(0)
    :: TOO_LATE(1)
#if CLIENTS == 3
    :: TOO_LATE(2)
#endif
#endif
#ifdef PAUSES
    :: PAUSE(0)
    :: PAUSE(1)
#if CLIENTS == 3
    :: PAUSE(2)
#endif
#endif
#ifdef RESTARTS
    :: RESTART(0)
    :: RESTART(1)
    :: RESTART(2)
    :: READMIT(0)
    :: READMIT(1)
    :: READMIT(2)
#endif
#ifdef FORGETFUL_VALUE
    :: d_step { value -> printf("the value node forgets\n"); value = 0 }
#endif
    od
}
