/*
 * death.pml - take_lock, worker_locks, heartbeat, recover: who may be declared dead by his lock.
 *
 * The laws: nobody who lives is declared dead, though connections are cut and the server fails over;
 * and on a quiet day a worker that was killed is declared dead soon after its grace.
 *
 * Time goes in looks of the rescuer, 5 s each. Assumed: a living worker whose connection is cut is
 * back within RECONNECT looks, less than GRACE, and has its lock as soon as the old session is gone,
 * which may take any time. After a failover it may stay away for any time.
 *
 * What is left out, and why that is sound:
 * - Death by silence (dead_after): lease.pml lets it come at any time, to the living too.
 * - Time between two looks is not measured: what takes less than a look crosses one border or none.
 * - A recover on its way may come late, also when its session is cut.
 * - A worker that was declared dead starts over under another id: a new worker.
 *
 * Per -D: CUTS of an upkeep connection, FAILOVERS, KILLS. Two cuts of one worker within its grace look
 * like one to who sees its lock only now and then. So a heartbeat since the last look is a sign of life
 * like a held lock, and one follows take_lock. Defects: DEFECT_... below.
 */
#ifndef CUTS
#define CUTS 0
#endif
#ifndef FAILOVERS
#define FAILOVERS 0
#endif
#ifndef KILLS
#define KILLS 0
#endif

#define WORKERS   2
#define GRACE     3
#ifndef RECONNECT
#define RECONNECT 2
#endif
#define SOON      (GRACE + 2)
#define LAST      (SOON + 1) /* where clocks stop counting */

#define BIT(number)      (1 << (number))
#define WHEN(true, what) if :: (true) -> what :: else fi
#define LAW(true, name)  if :: (true) :: else -> printf(name); assert(false) fi

mtype = { nobody, old_session, session }; /* who holds a worker's lock */

/* looks: since its lock was first seen free. beat: a heartbeat came since the last look. */
typedef sighting { bool seen_held; bool is_free; byte looks; bool beat };
typedef worker {
  bool lives;
  bool dead;     /* its row says so */
  bool up;       /* its upkeep connection stands */
  bool looked;   /* in this interval */
  bool far;      /* has not come back since a failover */
  bool recovers; /* a recover is on its way */
  byte missing;  /* the workers that it names */
  mtype lock;
  byte away;     /* looks since its connection is gone */
  byte free_for; /* looks since its lock is free */
  sighting sees[WORKERS]
};
worker work[WORKERS];
bool server = true;
byte cuts = CUTS;
byte failovers = FAILOVERS;
byte kills = KILLS;

hidden byte nth, one;

#ifdef DEFECT_NO_GRACE
#define LONG_ENOUGH(s) true
#else
#define LONG_ENOUGH(s) (s.looks >= GRACE)
#endif
#ifdef DEFECT_NEVER_SEEN
#define SEEN(s) true
#else
#define SEEN(s) s.seen_held
#endif

/* ---- worker_locks.sql, and what rescuer.c makes of it ---- */

inline note(it, held) {
  if
  :: held ->
    it.seen_held = true;
    it.is_free = false;
    it.looks = 0
  :: else ->
    it.is_free = true;
#ifndef DEFECT_ONLY_LOCKS_COUNT
    WHEN(it.beat, it.looks = 0)
#endif
  fi;
  it.beat = false
}

inline heartbeat(w) {
  for (nth : 0 .. WORKERS - 1) {
    work[nth].sees[w].beat = true
  }
}

inline look(w) {
  for (nth : 0 .. WORKERS - 1) {
    WHEN(!work[nth].dead, note(work[w].sees[nth], work[nth].lock != nobody))
  }
  work[w].looked = true
}

inline name_missing(w) {
  work[w].missing = 0;
  for (nth : 0 .. WORKERS - 1) {
    WHEN(!work[nth].dead && work[w].sees[nth].is_free && SEEN(work[w].sees[nth]) &&
      LONG_ENOUGH(work[w].sees[nth]), work[w].missing = work[w].missing | BIT(nth))
  }
  work[w].recovers = (work[w].missing != 0)
}

inline forget_sightings(w) {
  for (nth : 0 .. WORKERS - 1) {
    work[w].sees[nth].seen_held = false;
    work[w].sees[nth].is_free = false;
    work[w].sees[nth].looks = 0;
    work[w].sees[nth].beat = false
  }
}

proctype worker_locks_sql(byte w) {
end:
  do
  :: d_step { work[w].up && !work[w].looked && !work[w].recovers -> look(w); name_missing(w) }
  od
}

/* ---- recover.sql ---- */

#ifdef DEFECT_NOT_LOOKED_AGAIN
#define LOCK_IS_FREE(w) true
#else
#define LOCK_IS_FREE(w) (work[w].lock == nobody)
#endif
proctype recover_sql(byte w) {
end:
  do
  :: d_step {
      work[w].recovers && server ->
      for (nth : 0 .. WORKERS - 1) {
        if
        :: (work[w].missing & BIT(nth)) && !work[nth].dead && LOCK_IS_FREE(nth) ->
          LAW(work[nth].lock != session, "law: nobody who holds his lock is declared dead\n");
#if RECONNECT < GRACE
          LAW(!work[nth].lives, "law: nobody who lives is declared dead\n");
#endif
          work[nth].dead = true
        :: else
        fi
      }
      work[w].recovers = false;
      work[w].missing = 0
    }
  od
}

/* ---- take_lock.sql, heartbeat.sql, and the connection under them ---- */

proctype take_lock_sql(byte w) {
end:
  do
  :: d_step {
      server && work[w].lives && !work[w].up && !work[w].dead ->
      work[w].up = true;
      work[w].away = 0;
      work[w].far = false;
      heartbeat(w);
#ifndef DEFECT_OLD_SIGHTINGS
      forget_sightings(w);
#endif
      look(w)             /* at once, without consequences */
    }
  :: d_step {
      work[w].up && work[w].lock == nobody ->
      work[w].lock = session;
      heartbeat(w);
      work[w].free_for = 0
    }
  od
}

/* ---- time, and what goes wrong ---- */

#define LATE(w)   (work[w].lives && !work[w].dead && (work[w].up && work[w].lock == nobody || \
  !work[w].up && server && !work[w].far && work[w].away >= RECONNECT))
#define TIMELY(w) (!LATE(w) && (work[w].looked || !work[w].up) && !work[w].recovers)

inline hang_up(w) {
  work[w].up = false;
  work[w].looked = false;
  WHEN(work[w].lock == session, work[w].lock = old_session)
}

inline fail_over() {
  server = false;
  for (one : 0 .. WORKERS - 1) {
    hang_up(one);
    work[one].lock = nobody;
    work[one].far = true;
    work[one].recovers = false;
    work[one].missing = 0
  }
  failovers--
}

inline count(clock) { WHEN(clock < LAST, clock++) }

inline tick() {
  for (one : 0 .. WORKERS - 1) {
    WHEN(!work[one].up, count(work[one].away));
    WHEN(work[one].lock == nobody, count(work[one].free_for));
    for (nth : 0 .. WORKERS - 1) {
      WHEN(work[one].sees[nth].is_free, count(work[one].sees[nth].looks))
    }
    work[one].looked = false;
#if CUTS == 0 && FAILOVERS == 0
    LAW(work[one].lives || work[one].dead || work[one].free_for <= SOON,
      "law: a killed worker is soon declared dead\n");
#endif
  }
  one = 0
}

#define MAY_BE_CUT(w) (cuts > 0 && work[w].up)

proctype fault() {
end:
  do
  :: d_step { TIMELY(0) && TIMELY(1) -> tick() }
  :: d_step { MAY_BE_CUT(0) -> cuts--; hang_up(0) }
  :: d_step { MAY_BE_CUT(1) -> cuts--; hang_up(1) }
  :: d_step { kills > 0 && work[0].lives -> kills--; hang_up(0); work[0].lives = false }
  :: d_step { work[0].lock == old_session -> work[0].lock = nobody; work[0].free_for = 0 }
  :: d_step { work[1].lock == old_session -> work[1].lock = nobody; work[1].free_for = 0 }
  :: d_step { failovers > 0 && server -> fail_over() }
  :: d_step { !server -> server = true }
  od
}

init {
  byte w;

  d_step {
    for (w : 0 .. WORKERS - 1) {
      work[w].lives = true;
      work[w].up = true;
      work[w].lock = session
    }
    look(0);
    look(1)
  }
  atomic {
    for (w : 0 .. WORKERS - 1) {
      run worker_locks_sql(w);
      run recover_sql(w);
      run take_lock_sql(w)
    }
    run fault()
  }
}
