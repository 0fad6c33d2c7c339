/*
 * wake.pml - fall_asleep, mark, may_sleep, the last claim, withdraw, and wake in enqueue.
 *
 * The law: when nothing can happen any more, no due job waits and every worker sleeps. There is no
 * poll interval in here: it must hold without.
 *
 * Transactions are as in PostgreSQL: an id is handed out at the first write; what a transaction wrote
 * is seen by snapshots taken after its end; a snapshot's xmax is the latest completed id + 1, its xmin
 * the lowest id below xmax that still runs. READ COMMITTED takes a snapshot for each statement,
 * REPEATABLE READ one for all.
 *
 * What is left out, and why that is sound:
 * - One lane, and jobs that are due at once. A worker sleeps on all its lanes in one transaction.
 *   Scheduled jobs (next_due) need a clock.
 * - enqueue stands for all who put jobs into ready: settle, recover, reconcile and retry insert first
 *   and look in a later statement too. It may roll back: then it is any transaction that has an id.
 * - A claim takes all that its snapshot sees, and looks everywhere: one that takes less, or looks only
 *   at hot levels, is followed by another. Nobody locks a row of ready and then rolls back: who does
 *   (a cancel in a transaction of the user's own) can hide a job from a last claim until the poll.
 * - may_sleep is asked when it is true. It stays true, and its other answers change nothing.
 * - A notification comes at the end of its transaction or later, to whoever listened by then. Two that
 *   wait to be read are as one.
 *
 * Per -D: WORKERS, ENQUEUES, WITHDRAWS (too busy to be woken), CUTS of an upkeep connection; the server
 * may go on with a cut session for a while. That is why a worker asks for sleep only under its lock: else a
 * late withdraw of a second session can undo the sleep of a third, which waits only for the end of the first.
 * Defects, each found by scripts/model: DEFECT_... below.
 */
#ifndef WORKERS
#define WORKERS 1
#endif
#ifndef ENQUEUES
#define ENQUEUES 2
#endif
#ifndef WITHDRAWS
#define WITHDRAWS 0
#endif
#ifndef CUTS
#define CUTS 0
#endif
#define SESSIONS (WORKERS + CUTS)

#define BIT(number)     (1 << (number))
#define LAW(true, name) if :: (true) :: else -> printf(name); assert(false) fi

mtype = { fall_asleep, mark, may_sleep, withdraw };          /* statements on an upkeep connection */
mtype = { awake, lying_down, marked, asleep };               /* a worker's sleeper */
mtype = { nothing, claim_sent, claim_answered };             /* its claim */
mtype = { read_committed, repeatable_read };

/* ---- the server ---- */

byte next_id = 1;
byte completed;     /* the latest id that has ended */
int running;        /* bit an id */
byte ready;         /* bit a job: seen by new snapshots */
bool row[WORKERS];  /* of sleeper: seen by new snapshots */
byte lock[WORKERS]; /* session + 1 that holds the worker's advisory lock; 0: none */

chan request[SESSIONS] = [3] of { mtype, byte, byte }; /* statement, generation, $1 */
chan reply[SESSIONS] = [3] of { mtype, byte, byte };   /* statement, generation, answer */

hidden byte nth;

inline take_id(id) {
  id = next_id;
  running = running | BIT(id);
  next_id++
}

inline give_id(id) {
  running = running & ~BIT(id);
  if :: id > completed -> completed = id :: else fi;
  id = 0
}

#define XMAX (completed + 1)
/* pg_snapshot_xmin(pg_current_snapshot()) > id */
#define OVER(id) (XMAX > id && (running & (BIT(id + 1) - 1)) == 0)
#ifdef DEFECT_MARK_XMAX
#define MAY_SLEEP(id) (XMAX >= id && (running & (BIT(id) - 1)) == 0) /* xmin >= id */
#else
#define MAY_SLEEP(id) OVER(id)
#endif

/* ---- a worker ---- */

typedef worker {
  bool more;          /* something may be due that it has not seen */
  bool woken;         /* a notification came */
  bool asked;         /* and was there when the claim in flight was sent */
  bool after_sleep;   /* the claim in flight was sent when the worker was asleep */
  bool notified;      /* a notification is to be read */
  bool up;            /* the upkeep connection stands, and listens */
  bool registered;    /* and holds the lock */
  bool has_row;       /* as far as it knows */
  mtype claiming;
  mtype sleeper;
  byte generation;    /* answers of an earlier one are of no use */
  byte session;
  byte its_mark
};
worker work[WORKERS];
byte sessions = WORKERS;
byte cuts = CUTS;
byte withdraws = WITHDRAWS;

#ifdef DEFECT_SLEEP_WITHOUT_LOCK
#define MAY_ASK work[w].up
#else
#define MAY_ASK work[w].registered
#endif

inline forget_sleep() {
  work[w].sleeper = awake;
  work[w].generation++;
  work[w].its_mark = 0
}

inline lie_down() {
  if
  :: work[w].sleeper == awake && MAY_ASK ->
    work[w].sleeper = lying_down;
    work[w].has_row = true;
    request[work[w].session]!fall_asleep, work[w].generation, 0
  :: else
  fi
}

/* A claim came short: claimer.c, came_short(). */
inline came_short() {
  work[w].more = false;
  if
#ifndef DEFECT_EARLIER_CLAIM
  :: work[w].sleeper == asleep && !work[w].after_sleep -> work[w].more = true
#endif
  :: work[w].sleeper == awake -> lie_down()
  :: else
  fi
}

inline answer_claim() {
  work[w].claiming = nothing;
  came_short();
#ifndef DEFECT_WAKE_DURING_CLAIM
  if
  :: work[w].woken && !work[w].asked -> work[w].more = true
  :: else -> work[w].woken = false
  fi;
#else
  work[w].woken = false;
#endif
  work[w].asked = false;
  work[w].after_sleep = false
}

inline wake_up() {
  work[w].notified = false;
  work[w].woken = true;
  work[w].asked = false;
  work[w].more = true
}

inline become_asleep() {
  work[w].sleeper = asleep;
#ifndef DEFECT_NO_LAST_CLAIM
  work[w].more = true
#endif
}

#define SESSION work[w].session
#define FRESH   eval(work[w].generation)

proctype worker_process(byte w) {
end:
  do
  :: atomic { work[w].more && work[w].claiming == nothing ->
      work[w].claiming = claim_sent;
      work[w].asked = work[w].woken;
      work[w].after_sleep = (work[w].sleeper == asleep) }
  :: atomic { work[w].claiming == claim_answered -> answer_claim() }
  :: atomic { work[w].notified -> wake_up() }

  /* the way to sleep, one statement after another: sleeper.c */
  :: atomic { work[w].up && reply[SESSION]?[fall_asleep, FRESH, _] ->
      reply[SESSION]?fall_asleep, _, work[w].its_mark;
#if defined(DEFECT_MARK_ROW_ID) || defined(DEFECT_MARK_XMAX)
      work[w].sleeper = marked }
#else
      work[w].its_mark = 0;
      request[SESSION]!mark, work[w].generation, 0 }
#endif
  :: atomic { work[w].up && reply[SESSION]?[mark, FRESH, _] ->
      reply[SESSION]?mark, _, work[w].its_mark;
      work[w].sleeper = marked }
  :: atomic { work[w].up && work[w].sleeper == marked && work[w].its_mark != 0 && MAY_SLEEP(work[w].its_mark) ->
      request[SESSION]!may_sleep, work[w].generation, work[w].its_mark;
      work[w].its_mark = 0 }
  :: atomic { work[w].up && reply[SESSION]?[may_sleep, FRESH, _] ->
      reply[SESSION]?may_sleep, _, _;
      become_asleep() }
  :: atomic { work[w].up && reply[SESSION]?[_, _, _] && !reply[SESSION]?[_, FRESH, _] ->
      reply[SESSION]?_, _, _ }

  /* too busy to be woken */
  :: atomic { withdraws > 0 && MAY_ASK && work[w].has_row ->
      withdraws--;
      forget_sleep();
      work[w].has_row = false;
      work[w].more = true;
      request[SESSION]!withdraw, work[w].generation, 0 }

  /* the upkeep connection goes and comes: engine.c, registration.c */
  :: atomic { cuts > 0 && work[w].up ->
      cuts--;
      work[w].up = false;
      work[w].registered = false;
      work[w].notified = false;
      forget_sleep();
      work[w].more = true;
      do
      :: reply[SESSION]?_, _, _
      :: empty(reply[SESSION]) -> break
      od;
      SESSION = sessions;
      sessions++;
      run upkeep_session(SESSION, w) }
  :: atomic { !work[w].up -> work[w].up = true }
  :: atomic { work[w].up && !work[w].registered && lock[w] == 0 ->
      lock[w] = SESSION + 1;
      work[w].registered = true;
      forget_sleep(); /* the old session is gone: nothing of it can come between */
      work[w].more = true }
  od
}

/* ---- fall_asleep.sql, mark.sql, may_sleep.sql, withdraw.sql ---- */

#define IS_CUT (work[w].session != s)

proctype upkeep_session(byte s; byte w) {
  byte id, generation, sleep_mark;
end:
  do
  :: atomic { request[s]?fall_asleep, generation, _ -> take_id(id) };
fall_asleep_sql:
    atomic {
#ifdef DEFECT_MARK_ROW_ID
      sleep_mark = id;
#endif
      row[w] = true;
      give_id(id);
#ifdef DEFECT_MARK_XMAX
      sleep_mark = XMAX;
#endif
      if :: !IS_CUT -> reply[s]!fall_asleep, generation, sleep_mark :: else fi;
      sleep_mark = 0;
      generation = 0
    }
  :: atomic { request[s]?mark, generation, _ -> take_id(id) };
mark_sql:
    atomic {
      sleep_mark = id;
      give_id(id);
      if :: !IS_CUT -> reply[s]!mark, generation, sleep_mark :: else fi;
      sleep_mark = 0;
      generation = 0
    }
  :: atomic { request[s]?may_sleep, generation, sleep_mark ->
may_sleep_sql:
      LAW(MAY_SLEEP(sleep_mark), "law: may_sleep stays true\n");
      if :: !IS_CUT -> reply[s]!may_sleep, generation, true :: else fi;
      sleep_mark = 0;
      generation = 0 }
  :: atomic { request[s]?withdraw, generation, _ -> take_id(id) };
withdraw_sql:
    atomic {
      row[w] = false;
      give_id(id);
      generation = 0
    }
  :: atomic { IS_CUT -> /* the server notices */
      if :: lock[w] == s + 1 -> lock[w] = 0 :: else fi;
      do
      :: request[s]?_, _, _
      :: empty(request[s]) -> break
      od;
      break }
  od
}

/* ---- claim.sql ---- */

proctype claim_sql(byte w) {
end:
  do
  :: atomic { work[w].claiming == claim_sent -> ready = 0; work[w].claiming = claim_answered }
  od
}

/* ---- enqueue, and wake in it ---- */

inline notify_all() {
  for (nth : 0 .. WORKERS - 1) {
    if :: work[nth].up -> work[nth].notified = true :: else fi
  }
}

#define SOMEBODY_SLEEPS (row[0] || row[WORKERS - 1])

proctype enqueue(byte job) {
  byte id;
  bool saw, notifies;
  mtype isolation;

  if
  :: isolation = read_committed
  :: isolation = repeatable_read
  fi;
  saw = SOMEBODY_SLEEPS; /* the snapshot of the insert */
  d_step { take_id(id) };
wake:
  d_step {
    if
#ifdef DEFECT_REPEATABLE_READ_LOOKS
    :: isolation == repeatable_read -> notifies = saw
#else
    :: isolation == repeatable_read -> notifies = true
#endif
#ifdef DEFECT_ONE_STATEMENT
    :: isolation == read_committed -> notifies = saw
#else
    :: isolation == read_committed -> notifies = SOMEBODY_SLEEPS
#endif
    fi;
    saw = false
  };
  if
  :: d_step { /* commit */
      ready = ready | BIT(job);
      give_id(id);
      if :: notifies -> notify_all() :: else fi;
      notifies = false }
  :: d_step { give_id(id); notifies = false }
  fi
}

/* Looks when nothing else can happen. */
proctype auditor() {
  timeout;
  LAW(ready == 0, "law: no due job waits while everybody sleeps\n");
  LAW(work[0].sleeper == asleep && work[WORKERS - 1].sleeper == asleep,
    "law: whoever has nothing to do sleeps\n")
}

init {
  byte w;

  atomic {
    for (w : 0 .. WORKERS - 1) {
      work[w].more = true;
      work[w].up = true;
      work[w].registered = true;
      work[w].claiming = nothing;
      work[w].sleeper = awake;
      work[w].session = w;
      lock[w] = w + 1;
      run worker_process(w);
      run claim_sql(w);
      run upkeep_session(w, w)
    }
    for (w : 0 .. ENQUEUES - 1) {
      run enqueue(w)
    }
    run auditor()
  }
}
