/*
 * config.h - what jobq-run was told: options, variables, a file, defaults.
 *
 * The order is option > variable (JOBQ_LOG_LEVEL) > line of the config file (log-level = debug) >
 * default. The table of options is in core/app/option.c.
 */
#ifndef CORE_APP_CONFIG_H
#define CORE_APP_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/log.h"
#include "core/base/mem.h"

/* All pointers are owned; config_fini() frees them. */
struct config {
    /* Database: exactly one of these two is set. An empty conninfo leaves all to PG* variables. */
    char *conninfo;
    char *embedded_dir;
    char *dsn_source; /* "--dsn", "DATABASE_URL", "PGHOST", "jobq.conf:3", "default" */

    /* What to run. */
    struct buffer handlers; /* folders and files as given, each followed by a newline */
    char **queues;          /* ends with NULL; NULL as a whole: all */
    char *kinds;            /* for text_matches_list(); NULL: all that handlers define */
    uint32_t concurrency;   /* jobs at a time, waiting ones included */
    uint32_t executors;
    bool drain;
    bool watch;
    bool check;
    char *run_once;   /* a kind, for core/app/once.h; NULL: work on the queue */
    uint32_t attempt; /* of that run */
    char *serve;      /* HOST:PORT, for core/app/web.h; NULL: be no web server */

    /* Limits and times. */
    uint64_t job_memory_bytes;
    uint64_t executor_memory_bytes;
    uint64_t load_timeout_ms;
    uint64_t shutdown_grace_ms;
    uint64_t poll_interval_ms;
    uint64_t heartbeat_interval_ms;
    uint64_t dead_after_ms;

    /* Other. */
    char *name; /* of this worker */
    bool name_is_given;
    char *file; /* the config file; NULL: none was given */
    struct buffer
        settings; /* of handlers: NAME=VALUE, each name once, each followed by a newline */
    enum log_format log_format;
    enum log_level log_level;
};

/*
 * Fills c from the command line, the environment and the config file; permutes argv. 0: run.
 * Otherwise leave with *exit_status: 2 after a message on stderr (-EINVAL), 0 when help or version
 * was asked for and printed (-ECANCELED). c needs config_fini() in either case.
 */
MUST_USE int config_load(struct config *c, int argc, char **argv, int *exit_status);

void config_fini(struct config *c);

#endif
