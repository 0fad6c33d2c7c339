/*
 * tables.pml - what lease.pml's statements work on: tables, workers' memories, and the laws.
 *
 * The laws watch with variables of their own (fate, counted), which no statement reads.
 */
#define ATTEMPTS 2 /* the second failure is the end */
#define ROWS     2 /* of lease: one for both jobs, or one each */

#define BIT(number)      (1 << (number))
#define WHEN(true, what) if :: (true) -> what :: else fi
#define LAW(true, name)  if :: (true) :: else -> printf(name); assert(false) fi

mtype = { nothing, untold, running, ended, sent, answered }; /* what a worker does with a job */
mtype = { committing, committed }; /* or its handler's transaction, whose last statement completes it */
mtype = { completed, retry, returned, suspect, crash };      /* outcomes */
mtype = { may_claim, told, lost, recalled };                 /* a worker's claim */
mtype = { ours, settled, taken, forgotten, strange };        /* fate of a lease's slot */

/* A row of lease; worker 0: none. open: a bit for each slot that is not done. */
typedef row { byte worker; byte seq; byte n; byte open; byte job[2] };

/* ready, suspects, dead: a bit for each job or worker. attempt and suspects travel with the job. */
typedef tables {
  byte ready;
  byte suspects;
  byte dead;
  byte attempt[2];
  byte finished[2];
  row lease[ROWS];
#ifdef DEFECT_SEQUENCE
  byte sequence;
#endif
};
tables db;      /* what every new snapshot sees */
tables disk;    /* what a crash of the server leaves; kept while one may come */
tables blank;
bool unflushed; /* db is ahead of disk */

/* A job in a worker's memory. */
/* owes: an effect that only its transaction brings. */
typedef held { mtype phase; byte seq; byte slot; byte job; mtype what; mtype fate; bit owes };

/* next: the number of its next lease. room: how many jobs its claim in flight may take. */
typedef memory { byte id; byte next; byte room; mtype claiming; held job[2] };
memory work[3];
#define CUT 2 /* no worker: a session that its worker has given up, what may still be done for it */

/* The COMMIT of a handler that is not there any more, of worker id; 0: none. */
typedef orphan { byte id; byte seq; byte slot };
orphan late;

/* A worker's reconcile in flight; id 0: none. */
typedef question { byte id; byte known; byte below };
question looking[2];

byte ids;        /* of workers, given out so far */
byte gone;       /* bit a worker: its process is dead */
byte counted[2]; /* runs of a job that count */
byte crashes = CRASHES;
byte cuts = CUTS;
byte kills = KILLS;
byte pauses = PAUSES;
byte retries = RETRIES;
byte returns = RETURNS;
byte looks = LOOKS;
byte commits = COMMITS;
byte silences = SILENCES;

/* For use within one step: a row, a job, indexes of loops. */
hidden byte at, is, spot, places, nth, next_row, next_job, whose, which_of;

#define IN(w, doing) (work[w].job[0].phase == doing || work[w].job[1].phase == doing)
#define FREE(w)      ((work[w].job[0].phase == nothing) + (work[w].job[1].phase == nothing))
#define IS_DEAD(who) ((db.dead & BIT(who)) != 0)

/* ---- commits and crashes ---- */

inline copy(to, from) {
  to.ready = from.ready;
  to.suspects = from.suspects;
  to.dead = from.dead;
#ifdef DEFECT_SEQUENCE
  to.sequence = from.sequence;
#endif
  for (nth : 0 .. 1) {
    to.attempt[nth] = from.attempt[nth];
    to.finished[nth] = from.finished[nth];
    to.lease[nth].worker = from.lease[nth].worker;
    to.lease[nth].seq = from.lease[nth].seq;
    to.lease[nth].n = from.lease[nth].n;
    to.lease[nth].open = from.lease[nth].open;
    to.lease[nth].job[0] = from.lease[nth].job[0];
    to.lease[nth].job[1] = from.lease[nth].job[1]
  }
}

inline flush() {
  WHEN(crashes > 0, copy(disk, db));
  unflushed = false
}

#define STANDS(row, slot, which) \
  ((db.lease[row].open & BIT(slot)) && db.lease[row].job[slot] == which)

inline check_places() {
  for (nth : 0 .. 1) {
    places = ((db.ready >> nth) & 1) + db.finished[nth] + STANDS(0, 0, nth) + STANDS(0, 1, nth) +
      STANDS(1, 0, nth) + STANDS(1, 1, nth);
    LAW(places == 1, "law: a job is in exactly one place\n")
  }
}

inline commit() { check_places(); flush() }
inline commit_asynchronously() { check_places(); unflushed = (crashes > 0) }

/* ---- rows of lease ---- */

/* Sets at to the row of a lease; ROWS: there is none. */
inline find(who, number) {
  at = 0;
  do
  :: at < ROWS && !(db.lease[at].worker == who && db.lease[at].seq == number) -> at++
  :: else -> break
  od
}

/* A slot of row at is done; a row without open slots is deleted. Sets is to its job. */
inline leave(position) {
  is = db.lease[at].job[position];
  db.lease[at].open = db.lease[at].open & (3 - BIT(position));
  if
  :: db.lease[at].open == 0 ->
    db.lease[at].worker = 0;
    db.lease[at].seq = 0;
    db.lease[at].n = 0;
    db.lease[at].job[0] = 0;
    db.lease[at].job[1] = 0
  :: else
  fi
}

#define COUNTS(outcome) (outcome == completed || outcome == retry || outcome == crash)

/* The job that is goes where its outcome says. */
inline put(outcome) {
  if
  :: COUNTS(outcome) -> db.attempt[is]++; counted[is]++
#ifdef DEFECT_BURNT
  :: outcome == returned -> db.attempt[is]++
#endif
  :: else
  fi;
  if
  :: outcome == completed || (COUNTS(outcome) && db.attempt[is] >= ATTEMPTS) ->
    db.finished[is]++;
    db.suspects = db.suspects & (3 - BIT(is))
  :: else ->
    db.ready = db.ready | BIT(is);
    if
    :: outcome == retry -> db.suspects = db.suspects & (3 - BIT(is))
    :: outcome == suspect || outcome == crash -> db.suspects = db.suspects | BIT(is)
    :: else
    fi
  fi
}

/* ---- workers' memories ---- */

#define HOLDS(w, which, who, number, position) (work[w].id == who && \
  work[w].job[which].phase != nothing && work[w].job[which].seq == number && \
  work[w].job[which].slot == position)

/* The laws note what becomes of a lease's slot. */
inline note(who, number, position, why) {
  for (whose : 0 .. 2) {
    for (which_of : 0 .. 1) {
      WHEN(HOLDS(whose, which_of, who, number, position) && work[whose].job[which_of].fate == ours,
        work[whose].job[which_of].fate = why)
    }
  }
}

inline clear(w, which) {
  work[w].job[which].phase = nothing;
  work[w].job[which].seq = 0;
  work[w].job[which].slot = 0;
  work[w].job[which].job = 0;
  work[w].job[which].what = 0;
  work[w].job[which].fate = 0;
  work[w].job[which].owes = 0
}

/* Both jobs, if they are in this phase. */
inline advance(w, from, to) {
  WHEN(work[w].job[0].phase == from, work[w].job[0].phase = to);
  WHEN(work[w].job[1].phase == from, work[w].job[1].phase = to)
}
inline drop(w, from) {
  for (nth : 0 .. 1) {
    WHEN(work[w].job[nth].phase == from, clear(w, nth))
  }
}
