/*
 * lease.pml - claim, claimed, settle, reconcile, recover: two jobs, two workers, and a bad day.
 *
 * The bad day is given by -D: CRASHES of the server, CUTS of a work connection, KILLS of a worker,
 * PAUSES of a worker past recovery; RETRIES and RETURNS are outcomes of runs, LOOKS are reconciles
 * that nothing called for. COMMITS are runs that complete their job in a transaction of their own,
 * SILENCES answers to it that are lost. All else happens in any order, as late as it likes.
 *
 * What must hold is said by LAW: a job is always in exactly one place; no lease's number is used
 * twice; no run is settled twice; nobody settles a lease that is not his any more; an outcome is
 * refused only if recovery or a crash took the lease; no run begins that is settled or that reconcile
 * gives away; no job completes without the effect of its transaction; only runs that count use up
 * attempts; and when nothing can happen any more, every job has ended, exactly once, and nothing is
 * left in hand.
 *
 * What is left out, and why that is sound:
 * - A transaction is one step, its commit. Whoever changes a row of ready or lease locks it first and
 *   keeps the lock, claims and recovery pass over locked rows, and settle decides after it has the
 *   lock. So two transactions on the same rows behave as if one came after the other.
 * - A claim takes any of the ready jobs: what levels, cursors, priorities, delays and SKIP LOCKED
 *   would choose is among that.
 * - Time. A worker may be declared dead whenever PAUSES allows, silent or not: late heartbeats,
 *   stopped processes and partitions are special cases. death.pml has the clock.
 * - A commit that waits for the disk flushes the log, and with it all earlier claims. A claim does
 *   not wait; the log writer comes at any time.
 * - Workers are alike, and so are jobs: the first that is hit, or comes back, is number 0.
 * - Cancel, unique keys, snooze and the third crash change where a settled job goes, not who may
 *   settle it.
 * - A worker with nothing in flight polls: ready jobs are always claimed. wake.pml has the sleep.
 */
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef PAUSES
#define PAUSES 0
#endif
#ifndef RETRIES
#define RETRIES 0
#endif
#ifndef RETURNS
#define RETURNS 0
#endif
#ifndef LOOKS
#define LOOKS 0
#endif
#ifndef COMMITS
#define COMMITS 0
#endif
#ifndef SILENCES
#define SILENCES 0
#endif
#include "tables.pml"

#define ASKS(w) (work[w].claiming == may_claim && FREE(w) > 0)
#define NO_CUT  (work[CUT].id == 0)
#define HIT(w)  (w == 0 || cuts + kills + pauses + looks < CUTS + KILLS + PAUSES + LOOKS)

/* ---- claim.sql ---- */

/* Jobs are named by a mask. A suspect gets a lease of its own. */
#define TOGETHER(mask) (mask == 3 && db.suspects == 0)
#define APART(mask)    (mask == 3 && db.suspects != 0)

inline store(first, who, number, many) {
  find(who, number);
  LAW(at == ROWS, "law: a lease's number is used once\n");
  at = (db.lease[first].worker == 0 -> first : 1 - first);
  db.lease[at].worker = who;
  db.lease[at].seq = number;
  db.lease[at].n = many;
  db.lease[at].open = (many == 2 -> 3 : 1);
  db.lease[at].job[0] = first;
  db.lease[at].job[1] = (many == 2 -> 1 : 0)
}

inline move(w, mask) {
  db.ready = db.ready & (3 - mask);
  if
  :: mask == 2 -> store(1, work[w].id, work[w].next, 1)
  :: TOGETHER(mask) -> store(0, work[w].id, work[w].next, 2)
  :: else -> store(0, work[w].id, work[w].next, 1)
  fi;
  WHEN(APART(mask), store(1, work[w].id, work[w].next + 1, 1))
}

/* A row of the reply, on its way. */
inline tell_one(w, position) {
  spot = db.lease[next_row].job[position];
  spot = (work[w].job[spot].phase == nothing -> spot : 1 - spot);
  assert(work[w].job[spot].phase == nothing);
  work[w].job[spot].phase = untold;
  work[w].job[spot].seq = db.lease[next_row].seq;
  work[w].job[spot].slot = position;
  work[w].job[spot].job = db.lease[next_row].job[position];
  work[w].job[spot].fate = ours
}

/* All that the worker has from its next number on. */
inline tell(w) {
  for (next_row : 0 .. ROWS - 1) {
    if
    :: db.lease[next_row].worker == work[w].id && db.lease[next_row].seq >= work[w].next ->
      for (nth : 0 .. 1) {
        WHEN(db.lease[next_row].open & BIT(nth), tell_one(w, nth))
      }
    :: else
    fi
  }
}

inline take(w, mask) {
#ifdef DEFECT_SEQUENCE
  db.sequence++;
  work[w].next = db.sequence;
  WHEN(APART(mask), db.sequence++);
#endif
  work[w].room = FREE(w);
  move(w, mask);
  tell(w);
  work[w].claiming = told;
  commit_asynchronously()
}

proctype claim_sql(byte w) {
end:
  do
  :: d_step { ASKS(w) && (db.ready & 1) -> take(w, 1) }
  :: d_step { ASKS(w) && (db.ready & 2) -> take(w, 2) }
  :: d_step { ASKS(w) && FREE(w) == 2 && db.ready == 3 -> take(w, 3) }
  od
}

/* ---- claimed.sql ---- */

proctype claimed_sql(byte w) {
end:
  do
  :: d_step { work[w].claiming == lost -> tell(w); work[w].claiming = recalled }
  od
}

/* ---- settle.sql ---- */

/* Sets at and spot to where the outcome's job is leased; at == ROWS: it is not, any more. */
inline find_slot(w) {
#ifdef DEFECT_NO_FENCE
  is = work[w].job[next_job].job;
  at = (STANDS(0, 0, is) || STANDS(0, 1, is) -> 0 : (STANDS(1, 0, is) || STANDS(1, 1, is) -> 1 : ROWS));
  spot = (at < ROWS && STANDS(at, 0, is) -> 0 : 1)
#else
  find(work[w].id, work[w].job[next_job].seq);
  spot = work[w].job[next_job].slot;
#ifndef DEFECT_NOT_IDEMPOTENT
  WHEN(at < ROWS && !(db.lease[at].open & BIT(spot)), at = ROWS) /* done before */
#endif
#endif
}

#define FATE(w) work[w].job[next_job].fate

inline settle(w) {
  for (next_job : 0 .. 1) {
    if
    :: work[w].job[next_job].phase == sent ->
      find_slot(w);
      if
      :: at < ROWS ->
        LAW(FATE(w) != settled, "law: no run is settled twice\n");
        LAW(FATE(w) == ours, "law: nobody settles a lease that is not his any more\n");
        LAW(work[w].job[next_job].what != completed || !work[w].job[next_job].owes,
          "law: no job completes without the effect of its transaction\n");
        leave(spot);
        put(work[w].job[next_job].what);
        note(work[w].id, work[w].job[next_job].seq, work[w].job[next_job].slot, settled)
      :: else ->
        LAW(FATE(w) == settled || FATE(w) == taken || FATE(w) == forgotten,
          "law: an outcome is refused only if recovery or a crash took the lease\n")
      fi;
      work[w].job[next_job].phase = answered
    :: else
    fi
  }
  commit()
}

proctype settle_sql(byte w) {
end:
  do
  :: d_step { IN(w, sent) -> settle(w) }
  od
}

/* ---- reconcile.sql ---- */

/* The open slots of row next_row go back. */
inline give_back(outcome, why) {
  at = next_row;
  for (next_job : 0 .. 1) {
    if
    :: db.lease[at].open & BIT(next_job) ->
      note(db.lease[at].worker, db.lease[at].seq, next_job, why);
      leave(next_job);
      put(outcome)
    :: else
    fi
  }
}

#define KNOWN(w, which) (work[w].job[which].phase != nothing && \
  work[w].job[which].phase != untold -> BIT(work[w].job[which].seq) : 0)
#define STRANGER(w, row) (db.lease[row].worker == work[w].id && \
  db.lease[row].seq < work[w].next && !((KNOWN(w, 0) | KNOWN(w, 1)) & BIT(db.lease[row].seq)))

inline look(w) {
  looking[w].id = work[w].id;
  looking[w].known = KNOWN(w, 0) | KNOWN(w, 1);
#ifdef DEFECT_CLAIM_IN_FLIGHT
  looking[w].below = 255
#else
  looking[w].below = work[w].next
#endif
}

/* May reach the server after much has changed. */
proctype reconcile_sql(byte w) {
end:
  do
  :: d_step {
      looking[w].id != 0 ->
      for (next_row : 0 .. ROWS - 1) {
        WHEN(db.lease[next_row].worker == looking[w].id &&
          db.lease[next_row].seq < looking[w].below &&
          !(looking[w].known & BIT(db.lease[next_row].seq)), give_back(returned, strange))
      }
      commit();
      looking[w].id = 0;
      looking[w].known = 0;
      looking[w].below = 0
    }
  od
}

/* ---- recover.sql ---- */

#define ORPHAN(row) (db.lease[row].worker != 0 && IS_DEAD(db.lease[row].worker))

#ifdef DEFECT_TWO_STATEMENTS
row found; /* by the first statement; the second moves it */

inline take_leases() {
  for (next_row : 0 .. ROWS - 1) {
    if
    :: ORPHAN(next_row) && found.worker == 0 ->
      found.worker = db.lease[next_row].worker;
      found.seq = db.lease[next_row].seq;
      found.n = db.lease[next_row].n;
      found.open = db.lease[next_row].open;
      found.job[0] = db.lease[next_row].job[0];
      found.job[1] = db.lease[next_row].job[1]
    :: else
    fi
  }
  commit()
}

inline move_found() {
  find(found.worker, found.seq);
  for (next_job : 0 .. 1) {
    if
    :: found.open & BIT(next_job) ->
      note(found.worker, found.seq, next_job, taken);
      WHEN(at < ROWS, leave(next_job));
      is = found.job[next_job];
      put((found.n == 1 -> crash : suspect))
    :: else
    fi
  }
  found.worker = 0;
  commit()
}
#else
/* Of all dead workers, not only of those just found: a paused one may claim before it learns. */
inline take_leases() {
  for (next_row : 0 .. ROWS - 1) {
    spot = db.lease[next_row].n;
    WHEN(ORPHAN(next_row), give_back((spot == 1 -> crash : suspect), taken))
  }
  commit()
}
#endif

/* By whichever worker: it is one transaction. */
proctype recover_sql() {
end:
  do
  :: d_step { gone & (255 - db.dead) -> db.dead = db.dead | gone; take_leases() }
  :: d_step { pauses > 0 && !IS_DEAD(work[0].id) ->
      pauses--; db.dead = db.dead | BIT(work[0].id); take_leases() }
  :: d_step { pauses > 0 && HIT(1) && !IS_DEAD(work[1].id) ->
      pauses--; db.dead = db.dead | BIT(work[1].id); take_leases() }
#ifdef DEFECT_TWO_STATEMENTS
  :: d_step { found.worker != 0 -> move_found() }
  :: d_step { found.worker == 0 && (ORPHAN(0) || ORPHAN(1)) -> take_leases() }
#elif !defined(DEFECT_ONLY_JUST_DEAD)
  :: d_step { ORPHAN(0) || ORPHAN(1) -> take_leases() }
#endif
  od
}

/* ---- a worker's process: claimer.c, settler.c, heartbeat.c ---- */

inline begin(w) {
  for (nth : 0 .. 1) {
    if
    :: work[w].job[nth].phase == untold ->
      LAW(work[w].job[nth].fate != settled, "law: no run begins after it was settled\n");
      LAW(work[w].job[nth].fate != strange, "law: reconcile gives back only what nobody will run\n");
      work[w].job[nth].phase = running;
      WHEN(work[w].job[nth].seq >= work[w].next, work[w].next = work[w].job[nth].seq + 1)
    :: else
    fi
  }
}

inline may_claim_again(w) {
  work[w].claiming = may_claim;
  work[w].room = 0
}

/* One flush in flight; the next takes all that has gathered. */
inline send_outcomes(w) { WHEN(!IN(w, sent) && !IN(w, answered), advance(w, ended, sent)) }

inline end_run(w, which, outcome) {
  work[w].job[which].what = outcome;
  work[w].job[which].phase = ended;
  send_outcomes(w)
}

/* ---- complete.sql, and the COMMIT behind it, on a connection of the handler's ---- */

#define COMMITS_NOW(w, which) (work[w].job[which].phase == committing)

inline complete(w, which) {
  next_job = which;
  find_slot(w);
  if
  :: at < ROWS ->
    LAW(FATE(w) == ours, "law: nobody settles a lease that is not his any more\n");
    leave(spot);
    put(completed);
    note(work[w].id, work[w].job[which].seq, work[w].job[which].slot, settled);
    work[w].job[which].phase = committed
  :: else -> /* it raises, which takes the effect along */
    LAW(FATE(w) == taken || FATE(w) == forgotten,
      "law: an outcome is refused only if recovery or a crash took the lease\n");
    end_run(w, which, retry)
  fi;
  commit()
}

proctype complete_sql(byte w) {
end:
  do
  :: d_step { COMMITS_NOW(w, 0) -> complete(w, 0) }
  :: d_step { COMMITS_NOW(w, 1) -> complete(w, 1) }
  od
}

/* The server may not have noticed yet that nobody waits. */
inline leave_late(w, which) {
  late.id = work[w].id;
  late.seq = work[w].job[which].seq;
  late.slot = work[w].job[which].slot
}

inline forget_late() {
  late.id = 0;
  late.seq = 0;
  late.slot = 0
}

inline complete_late() {
  find(late.id, late.seq);
  if
  :: at < ROWS && (db.lease[at].open & BIT(late.slot)) ->
    spot = late.slot;
    leave(spot);
    put(completed);
    note(late.id, late.seq, late.slot, settled)
  :: else
  fi;
  forget_late();
  commit()
}

proctype complete_late_sql() {
end:
  do
  :: d_step { late.id != 0 -> complete_late() }
  :: d_step { late.id != 0 -> forget_late() }
  od
}

/* Nobody knows whether it took place, so the run has failed. */
inline lose_answer(w, which) {
  WHEN(COMMITS_NOW(w, which), leave_late(w, which));
#ifdef DEFECT_LOST_COMMIT_COMPLETED
  end_run(w, which, completed)
#else
  end_run(w, which, retry)
#endif
}

/* A process that ends leaves its COMMIT to the server. */
inline desert(w) {
  WHEN(COMMITS_NOW(w, 0), leave_late(w, 0));
  WHEN(COMMITS_NOW(w, 1), leave_late(w, 1))
}

/* What the server has not done for this session it may do later, or never. */
inline abandon(w) {
  WHEN(IN(w, sent) || ASKS(w), work[CUT].id = work[w].id);
  if
  :: ASKS(w) ->
    work[CUT].claiming = may_claim;
    work[CUT].next = work[w].next;
    work[CUT].room = FREE(w)
  :: else
  fi;
  for (nth : 0 .. 1) {
    if
    :: work[w].job[nth].phase == sent ->
      work[CUT].job[nth].phase = sent;
      work[CUT].job[nth].seq = work[w].job[nth].seq;
      work[CUT].job[nth].slot = work[w].job[nth].slot;
      work[CUT].job[nth].job = work[w].job[nth].job;
      work[CUT].job[nth].what = work[w].job[nth].what;
      work[CUT].job[nth].fate = work[w].job[nth].fate
    :: else
    fi
  }
}

/* Replies on their way are lost. Nobody knows what a claim took: it will be asked. */
inline lose_claim(w) {
  WHEN(ASKS(w), work[w].room = FREE(w));
  WHEN(work[w].room > 0, work[w].claiming = lost);
  drop(w, untold);
#ifdef DEFECT_LOST_CLAIM_FAILED
  may_claim_again(w)
#endif
}

/* Nor whether a settle was committed: the same goes again. */
inline lose_settle(w) {
#ifdef DEFECT_LOST_SETTLE_FAILED
  advance(w, sent, untold);
  advance(w, answered, untold);
  begin(w);
#else
  advance(w, sent, ended);
  advance(w, answered, ended);
#endif
  send_outcomes(w)
}

inline start_over(w) {
  desert(w);
  clear(w, 0);
  clear(w, 1);
  may_claim_again(w);
  work[w].next = 1;
  ids++;
  work[w].id = ids
}

#define WAITS_FOR_COMMIT(which) \
  (work[w].job[which].phase == committing || work[w].job[which].phase == committed)

inline send_commit(w, which) {
  work[w].job[which].phase = committing;
  work[w].job[which].owes = 1
}

#define RUNS(which)      (work[w].job[which].phase == running)
#define GOES_BACK(which) (RUNS(which) && \
  (work[w].job[which].job == 0 || retries + returns < RETRIES + RETURNS))

proctype worker_process(byte w) {
end:
  do
  :: d_step { work[w].claiming == told -> begin(w); may_claim_again(w) }
  :: d_step {
      work[w].claiming == recalled ->
#ifdef DEFECT_GOES_BACK
      spot = work[w].next;
#else
      spot = work[w].next + work[w].room; /* beyond any number that the claim can have used */
#endif
      begin(w);
      WHEN(spot > work[w].next, work[w].next = spot);
      may_claim_again(w)
    }
  :: d_step { RUNS(0) -> end_run(w, 0, completed) }
  :: d_step { RUNS(1) -> end_run(w, 1, completed) }
  :: d_step { retries > 0 && GOES_BACK(0) -> retries--; end_run(w, 0, retry) }
  :: d_step { retries > 0 && GOES_BACK(1) -> retries--; end_run(w, 1, retry) }
  :: d_step { returns > 0 && GOES_BACK(0) -> returns--; end_run(w, 0, returned) }
  :: d_step { returns > 0 && GOES_BACK(1) -> returns--; end_run(w, 1, returned) }
  :: d_step { commits > 0 && RUNS(0) -> commits--; send_commit(w, 0) }
  :: d_step { commits > 0 && RUNS(1) -> commits--; send_commit(w, 1) }
  :: d_step { work[w].job[0].phase == committed -> clear(w, 0) } /* settled: nothing is left to tell */
  :: d_step { work[w].job[1].phase == committed -> clear(w, 1) }
  :: d_step { silences > 0 && late.id == 0 && WAITS_FOR_COMMIT(0) -> silences--; lose_answer(w, 0) }
  :: d_step { silences > 0 && late.id == 0 && WAITS_FOR_COMMIT(1) -> silences--; lose_answer(w, 1) }
  :: d_step { IN(w, answered) -> drop(w, answered); send_outcomes(w) }
  :: d_step { IS_DEAD(work[w].id) && NO_CUT -> abandon(w); start_over(w) } /* its heartbeat's answer */
  :: d_step { looks > 0 && HIT(w) && looking[w].id == 0 -> looks--; look(w) }
  :: d_step { looking[w].id == 0 && (STRANGER(w, 0) || STRANGER(w, 1)) -> look(w) }
  od
}

/* ---- what goes wrong ---- */

inline forget_cut() {
  clear(CUT, 0);
  clear(CUT, 1);
  work[CUT].id = 0;
  work[CUT].next = 0;
  work[CUT].room = 0;
  work[CUT].claiming = told
}

inline end_cut() { WHEN(work[CUT].claiming != may_claim && !IN(CUT, sent), forget_cut()) }

inline take_late(mask) {
  move(CUT, mask);
  work[CUT].claiming = told;
  work[CUT].next = 0;
  work[CUT].room = 0;
  end_cut();
  commit_asynchronously()
}

#define CLAIMS_LATE (work[CUT].claiming == may_claim)

/* The server goes on for a session that nobody listens to, until it notices. */
proctype session_cut() {
end:
  do
  :: d_step { CLAIMS_LATE && (db.ready & 1) -> take_late(1) }
  :: d_step { CLAIMS_LATE && (db.ready & 2) -> take_late(2) }
  :: d_step { CLAIMS_LATE && work[CUT].room == 2 && db.ready == 3 -> take_late(3) }
  :: d_step { IN(CUT, sent) -> settle(CUT); clear(CUT, 0); clear(CUT, 1); end_cut() }
  :: d_step { !NO_CUT -> forget_cut() }
  od
}

inline note_forgotten() {
  for (next_row : 0 .. 1) {
    for (next_job : 0 .. 1) {
      find(work[next_row].id, work[next_row].job[next_job].seq);
      WHEN(work[next_row].job[next_job].phase != nothing && at == ROWS &&
        work[next_row].job[next_job].fate == ours, work[next_row].job[next_job].fate = forgotten)
    }
  }
}

/* A handler's transaction that was under way is undone, and the run knows no better than else. */
inline crash_transactions(w) {
  WHEN(COMMITS_NOW(w, 0), end_run(w, 0, retry));
  WHEN(COMMITS_NOW(w, 1), end_run(w, 1, retry))
}

inline crash_server() {
  crashes--;
  crash_transactions(0);
  crash_transactions(1);
  forget_late();
  lose_claim(0);
  lose_settle(0);
  lose_claim(1);
  lose_settle(1);
  forget_cut();
  copy(db, disk);
  WHEN(crashes == 0, copy(disk, blank));
  note_forgotten();
  unflushed = false
}

inline cut_session(w) {
  cuts--;
  abandon(w);
  lose_claim(w);
  lose_settle(w)
}

inline kill_worker(w) {
  kills--;
  abandon(w);
  gone = gone | BIT(work[w].id);
  start_over(w)
}

#define TALKS(w) (IN(w, sent) || IN(w, answered) || ASKS(w) || \
  work[w].claiming == told || work[w].claiming == recalled)

proctype fault() {
end:
  do
  :: d_step { unflushed -> flush() }
  :: d_step { crashes > 0 -> crash_server() }
  :: d_step { cuts > 0 && NO_CUT && TALKS(0) -> cut_session(0) }
  :: d_step { cuts > 0 && NO_CUT && TALKS(1) && HIT(1) -> cut_session(1) }
  :: d_step { kills > 0 && NO_CUT -> kill_worker(0) }
  :: d_step { kills > 0 && NO_CUT && HIT(1) -> kill_worker(1) }
  od
}

/* Looks when nothing else can happen. */
proctype auditor() {
  timeout;
  LAW(db.finished[0] == 1 && db.finished[1] == 1, "law: nothing is stuck\n");
  LAW(db.attempt[0] == counted[0] && db.attempt[1] == counted[1],
    "law: only runs that count use up attempts\n");
  LAW(FREE(0) == 2 && FREE(1) == 2 && NO_CUT, "law: nothing is left in hand\n")
}

init {
  d_step {
    db.ready = 3;
    flush();
    forget_cut();
    start_over(0);
    start_over(1)
  }
  atomic {
    run worker_process(0);
    run worker_process(1);
    run claim_sql(0);
    run claim_sql(1);
    run claimed_sql(0);
    run claimed_sql(1);
    run settle_sql(0);
    run settle_sql(1);
    run reconcile_sql(0);
    run reconcile_sql(1);
    run complete_sql(0);
    run complete_sql(1);
    run complete_late_sql();
    run recover_sql();
    run session_cut();
    run fault();
    run auditor()
  }
}
