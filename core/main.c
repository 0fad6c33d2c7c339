/*
 * main.c - the door of jobq-run: a supervisor, or with --executor one of its executors, or with
 * --guard what stands between an executor and a program that a handler runs.
 *
 * The only file that sees both core and bindings: a supervisor never runs Lua.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/app/check.h"
#include "core/app/config.h"
#include "core/app/engine.h"
#include "core/app/once.h"
#include "core/app/web.h"
#include "core/base/log.h"
#include "core/db/embedded.h"

#include "bindings/executor.h"
#include "bindings/guard.h"

typedef int (*run_fn)(const struct config *config, const char *conninfo);

static int run_embedded(const struct config *config, run_fn run)
{
    struct buffer error = {0};
    struct embedded *database = NULL;
    bool created = false;

    if (embedded_open(config->embedded_dir, &database, &created, &error) < 0) {
        (void)fprintf(stderr, "jobq-run: %s\n", buffer_text(&error));
        buffer_fini(&error);
        return EXIT_NO_DATABASE;
    }
    log_info(strcmp(config->dsn_source, "default") == 0
                 ? "no dsn was given: using a private postgres"
                 : "using a private postgres",
             LOG_TEXT("folder", embedded_dir(database)),
             LOG_TEXT("made", created ? "now" : "before"));
    int status = run(config, embedded_conninfo(database));
    embedded_close(database);
    return status;
}

static int run(const struct config *config)
{
    run_fn serve_or_work = config->serve != NULL ? web_run : engine_run;

    log_configure(config->log_level, config->log_format);
    if (config->check) {
        return check_run(config);
    }
    if (config->run_once != NULL) {
        return once_run(config);
    }
    if (config->embedded_dir != NULL) {
        return run_embedded(config, serve_or_work);
    }
    return serve_or_work(config, config->conninfo == NULL ? "" : config->conninfo);
}

int main(int argc, char **argv)
{
    struct config config = {0};
    int status = 0;

    if (argc > 1 && strcmp(argv[1], "--guard") == 0) {
        return guard_main(argc, argv);
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that has left is an error of that write alone */
    if (argc == 2 && strcmp(argv[1], "--executor") == 0) {
        return executor_main();
    }
    if (config_load(&config, argc, argv, &status) == 0) {
        status = run(&config);
    }
    config_fini(&config);
    return status;
}
