/*
 * connections.c - what the two connections say: they come, go, fail, and bring notifications. A database
 * that does not fit ends the worker with a line that says what to do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/app/engine_parts.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/db/migrate.h"
#include "core/db/result.h"

/* A database that stays away is mentioned so often. */
#define MENTION_MS 60000u

/* A difference that no network and no pause between two readings explains. */
#define CLOCK_FAR_OFF_S 60

/* What jobq workers stop may ask for. */
#define LONGEST_GRACE_MS ((int64_t)24 * 60 * 60 * 1000)

/* One line of what libpq says: a line for each host that it tried, and indented advice, which is left out. */
static struct buffer one_line(const char *why)
{
    struct buffer line = {0};

    while (*why != 0) {
        size_t size = strcspn(why, "\n");
        if (size > 0 && *why != '\t') {
            buffer_add_text(&line, line.size > 0 ? "; " : "");
            buffer_add_slice(&line, (struct slice){why, size});
        }
        why += size + (why[size] == '\n' ? 1 : 0);
    }
    return line;
}

static void on_work_up(void *owner)
{
    struct engine *e = owner;

    if (e->work_was_up) {
        log_info("database back");
    }
    e->work_was_up = true;
    settler_flush(e->settler);
    claimer_work_up(e->claimer);
}

static void on_work_down(void *owner, const char *why)
{
    struct buffer line = one_line(why);

    (void)owner;
    log_warn("database lost", LOG_SLICE("error", buffer_slice(&line)));
    buffer_fini(&line);
}

/* Before anything has worked: one line, and what to do about it. */
static void refuse_link(struct engine *e, enum link_failure failure, const char *why)
{
    bool standby = failure == LINK_STANDBY;
    int status = failure == LINK_BAD_DSN ? EXIT_USAGE : EXIT_NO_DATABASE;

    (void)fprintf(stderr,
                  "jobq-run: cannot use the database: %s\nhint: %sthe dsn is from %s%s\n",
                  why,
                  standby ? "name the primary, or all hosts and target_session_attrs=read-write; "
                          : "",
                  e->config->dsn_source,
                  standby ? "" : "; jobq doctor checks it step by step");
    ending_leave(e, standby ? EXIT_READ_ONLY : status);
}

/*
 * Before the first success a refusal is a mistake in the DSN, later it is an outage like any other: in a
 * failover the standby may answer before it is the primary.
 */
static void on_link_failed(void *owner, enum link_failure failure, const char *why)
{
    struct engine *e = owner;
    uint64_t now_ms = clock_now_ms();
    struct buffer line = one_line(why);

    if (failure != LINK_UNREACHABLE && !e->was_connected && e->phase == PHASE_RUNNING) {
        refuse_link(e, failure, buffer_text(&line));
    } else if (e->mentioned_ms == 0 || now_ms - e->mentioned_ms >= MENTION_MS) {
        e->mentioned_ms = now_ms;
        log_warn("cannot reach the database, trying again",
                 LOG_SLICE("error", buffer_slice(&line)));
    }
    buffer_fini(&line);
}

const struct link_events connections_work_events = {
    .up = on_work_up,
    .down = on_work_down,
    .failed = on_link_failed,
};

static void on_schema(void *arg, const struct db_reply *reply);

static void on_upkeep_up(void *owner)
{
    struct engine *e = owner;

    if (link_query(e->upkeep, SQL_SCHEMA_STATE, NULL, on_schema, e) < 0) {
        log_debug("lost again"); /* on_upkeep_up() will be told again */
    }
}

static void refuse(struct engine *e, int status, const char *line, const char *hint)
{
    (void)fprintf(stderr, "jobq-run: %s\nhint: %s\n", line, hint);
    ending_leave(e, status);
}

void connections_refuse(struct engine *e, const char *sqlstate, const char *message)
{
    char line[512];

    if (strcmp(sqlstate, "42501") == 0) {
        (void)snprintf(line, sizeof(line), "the role may not do this: %s", message);
        refuse(e, EXIT_REFUSED, line, "grant jobq_worker to the role, as the owner of the schema");
    } else if (strcmp(sqlstate, "25006") == 0 && registration_worker_id(e->registration) == 0) {
        (void)snprintf(line, sizeof(line), "the database can only be read: %s", message);
        refuse(e,
               EXIT_READ_ONLY,
               line,
               "alter database or alter role ... set default_transaction_read_only = off");
    } else if (strncmp(sqlstate, "3F", 2) == 0 || strncmp(sqlstate, "42", 2) == 0) {
        refuse(e,
               EXIT_SCHEMA,
               "the database has no jobq schema",
               "jobq migrate, or as the owner: jobq migrate --print | psql");
    } else {
        log_warn("cannot register", LOG_TEXT("error", message));
    }
}

void connections_refuse_name(struct engine *e, const char *holder)
{
    char line[512];
    bool known = *holder != 0;

    (void)snprintf(line,
                   sizeof(line),
                   "another worker named '%s' is running%s%s%s",
                   e->config->name,
                   known ? " (" : "",
                   holder,
                   known ? ")" : "");
    refuse(e, EXIT_NAME_TAKEN, line, "give each worker a name of its own, or leave --name out");
}

static void format_time(int64_t unix_us, char *text, size_t size)
{
    time_t seconds = (time_t)(unix_us / 1000000);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    (void)strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/*
 * Nothing breaks: what is due, late or dead is decided by the database's clock, and intervals by a clock
 * that nobody sets. But whoever reads this log beside another one, or sets run_at from os.time(), is
 * misled; so it is said, and the worker works.
 */
static void check_clock(struct engine *e, int64_t database_us)
{
    char here[32] = "";
    char there[32] = "";
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t here_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    int64_t ahead_s = (here_us - database_us) / 1000000;
    if (e->clock_was_told || llabs((long long)ahead_s) < CLOCK_FAR_OFF_S) {
        return;
    }
    e->clock_was_told = true;
    format_time(here_us, here, sizeof(here));
    format_time(database_us, there, sizeof(there));
    log_warn("the clocks of this machine and of the database differ",
             LOG_TEXT("here", here),
             LOG_TEXT("database", there),
             LOG_INT("seconds", ahead_s),
             LOG_TEXT("hint", "set them by NTP; jobs go by the database's"));
}

static void on_schema(void *arg, const struct db_reply *reply)
{
    struct engine *e = arg;
    char line[512];

    if (reply->lost) {
        return;
    }
    if (reply->error != NULL) {
        connections_refuse(e, db_sqlstate(reply->error), db_message(reply->error));
        return;
    }
    int version = (int)db_get_int(reply->results[0], 0, 0);
    struct slice min_worker = db_get_text(reply->results[0], 0, 1);
    char *least = mem_copy(min_worker.data, min_worker.size);
    if (version < migrate_newest()) {
        (void)snprintf(line,
                       sizeof(line),
                       "database schema is %d, at least %d is needed",
                       version,
                       migrate_newest());
        char hint[128];
        (void)snprintf(hint,
                       sizeof(hint),
                       "jobq migrate, or as the owner: jobq migrate --print --from %d | psql",
                       version);
        refuse(e, EXIT_SCHEMA, line, hint);
    } else if (version_compare(JOBQ_VERSION, least) < 0) {
        (void)snprintf(line,
                       sizeof(line),
                       "database schema %d needs version %s or later, this is %s",
                       version,
                       least,
                       JOBQ_VERSION);
        refuse(e, EXIT_SCHEMA, line, "upgrade jobq-run on this machine");
    } else {
        check_clock(e, db_get_time_us(reply->results[0], 0, 2));
        e->was_connected = true;
        e->mentioned_ms = 0;
        registration_up(e->registration);
        heartbeat_beat(e->heartbeat);
        rescuer_up(e->rescuer);
        tender_up(e->tender);
        advancer_poke(e->advancer);
    }
    free(least);
}

static void on_upkeep_down(void *owner, const char *why)
{
    struct engine *e = owner;

    log_debug("upkeep connection lost", LOG_TEXT("error", why));
    registration_down(e->registration);
    claimer_upkeep_down(e->claimer);
    ending_advance(e);
}

/* Is that the id of this worker? What follows it is in rest. */
static bool is_ours(const struct engine *e, const char *id, char **rest)
{
    int64_t worker_id = registration_worker_id(e->registration);

    return strtoll(id, rest, 10) == worker_id && worker_id != 0;
}

/* grace is " 5000", in ms, or empty: the worker's own. Asked again without one, nothing changes. */
static void obey_stop(struct engine *e, const char *grace)
{
    int64_t grace_ms;

    if (*grace == ' ' && text_integer(grace + 1, 0, LONGEST_GRACE_MS, &grace_ms)) {
        ending_begin_within(e, EXIT_DONE, (uint64_t)grace_ms);
    } else if (e->phase == PHASE_RUNNING) {
        ending_begin(e, EXIT_DONE);
    }
}

static void on_notified(void *owner, const char *channel, const char *body)
{
    struct engine *e = owner;
    char *rest;
    int64_t id;

    if (strcmp(channel, "jobq") == 0) {
        claimer_notified(e->claimer, body);
    } else if (strcmp(body, "advance") == 0) {
        advancer_poke(e->advancer);
    } else if (strncmp(body, "cancel ", 7) == 0 && text_integer(body + 7, 1, INT64_MAX, &id)) {
        dispatcher_cancel(e->dispatcher, id);
    } else if (strcmp(body, "reload") == 0 ||
               (strncmp(body, "reload ", 7) == 0 && is_ours(e, body + 7, &rest))) {
        engine_reload(e);
    } else if (strncmp(body, "stop ", 5) == 0 && is_ours(e, body + 5, &rest)) {
        obey_stop(e, rest);
    }
}

const struct link_events connections_upkeep_events = {
    .up = on_upkeep_up,
    .down = on_upkeep_down,
    .failed = on_link_failed,
    .notified = on_notified,
};
