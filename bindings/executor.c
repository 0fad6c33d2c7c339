/*
 * executor.c - frames from the supervisor on one side, runs on the other.
 *
 *   loading --> ready | load failed --> quitting --> exit
 *
 * A frame may arrive while a run computes: the signal's hook reads the mail. So frames only queue
 * and mark here, and `actor` acts on them when the loop comes round.
 */
#include "bindings/executor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uv.h>

#include "core/base/channel.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/job/pulse.h"
#include "core/job/wire.h"

#include "bindings/handlers.h"
#include "bindings/runs.h"
#include "bindings/vm.h"

/* Outcomes wait no longer than this for a run that computes behind them. */
#define FLUSH_AFTER_US 500u

#define LAST_WORD_MS 1000

struct executor {
    uv_loop_t loop;
    uv_idle_t actor; /* runs while frames came in that nobody acted on */
    struct vm vm;
    struct channel *channel;
    struct handlers handlers;
    struct runs runs;
    uint64_t flushed_us;
    bool is_loaded;
    bool is_quitting;
};

static struct pulse *map_pulse(void);
static void prepare_process(void);
static void raise_descriptor_limit(void);
static void on_frame(void *owner, struct frame *f);
static void on_drained(void *owner);
static void on_lost(void *owner, const char *why);
static void on_idle(uv_idle_t *idle);
static void read_mail(struct vm *vm);
static void before_resume(struct vm *vm, uint64_t now_us);
static void on_emptied(struct runs *rs);
static int take(struct executor *e, struct frame *f);
static int configure(struct executor *e, struct frame *f);
static void act(struct executor *e);
static void say_last_word(struct executor *e);
static void close_all(struct executor *e);

static const struct channel_events events = {
    .frame = on_frame,
    .drained = on_drained,
    .lost = on_lost,
};

int executor_main(void)
{
    struct executor *e = mem_zalloc(sizeof(*e));
    struct pulse *pulse = map_pulse();

    if (pulse == NULL) {
        (void)fprintf(stderr, "jobq-run: --executor is for jobq-run itself to use\n");
        free(e);
        return 2;
    }
    prepare_process();
    uv_loop_init(&e->loop);
    if (!vm_open(&e->vm, &e->loop, pulse)) {
        abort();
    }
    e->vm.owner = e;
    e->vm.read_mail = read_mail;
    e->vm.before_resume = before_resume;
    e->channel = channel_open(&e->loop, EXECUTOR_CHANNEL_FD, &events, e);
    runs_init(&e->runs, &e->vm, e->channel, &e->handlers);
    e->runs.emptied = on_emptied;
    uv_idle_init(&e->loop, &e->actor);
    e->actor.data = e;
    task_listen(&e->vm, EXECUTOR_MAIL_SIGNAL);
    uv_run(&e->loop, UV_RUN_DEFAULT);

    say_last_word(e);
    close_all(e);
    munmap(pulse, sizeof(*pulse));
    free(e);
    return 0;
}

static struct pulse *map_pulse(void)
{
    void *page =
        mmap(NULL, sizeof(struct pulse), PROT_READ | PROT_WRITE, MAP_SHARED, EXECUTOR_PULSE_FD, 0);

    if (page == MAP_FAILED) {
        return NULL;
    }
    struct pulse *pulse = page;
    atomic_store(&pulse->run, PULSE_NO_RUN);
    return pulse;
}

static void ignore(int signum)
{
    (void)signum;
}

/* It may have died before we asked to die with it: then its end of the channel is closed. */
static bool supervisor_is_gone(void)
{
    struct pollfd fd = {.fd = EXECUTOR_CHANNEL_FD};

    return poll(&fd, 1, 0) > 0 && (fd.revents & POLLHUP) != 0;
}

/*
 * Ctrl-C reaches all processes of a terminal; only the supervisor knows what it means. An empty
 * handler, unlike SIG_IGN, is not inherited by programs that handlers start.
 */
static void prepare_process(void)
{
    struct sigaction nothing = {.sa_handler = ignore, .sa_flags = SA_RESTART};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (supervisor_is_gone()) {
        _exit(EXIT_FAILURE);
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* what handlers print should not come at the end */
    sigaction(SIGINT, &nothing, NULL);
    sigaction(SIGTERM, &nothing, NULL);
    sigaction(SIGHUP, &nothing, NULL);
    sigaction(SIGUSR1, &nothing, NULL);
    raise_descriptor_limit();
}

/* The usual soft limit is for programs that call select(); thousands of runs share this one. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void on_frame(void *owner, struct frame *f)
{
    if (take(owner, f) != 0) {
        on_lost(owner, "a frame that makes no sense");
    }
}

/* Inside a run only the hook gets here: the loop acts later. */
static void on_drained(void *owner)
{
    struct executor *e = owner;

    if (e->vm.running != NULL) {
        uv_idle_start(&e->actor, on_idle);
    } else {
        act(e);
    }
}

/* Nobody is left to hear of outcomes, and the jobs go to other workers: end at once. */
static void on_lost(void *owner, const char *why)
{
    struct executor *e = owner;

    if (!e->is_quitting) {
        log_debug("supervisor lost", LOG_TEXT("why", why));
    }
    _exit(1);
}

static void on_idle(uv_idle_t *idle)
{
    act(idle->data);
}

static void read_mail(struct vm *vm)
{
    struct executor *e = vm->owner;

    channel_receive(e->channel);
    if (channel_is_sending(e->channel)) {
        channel_flush(e->channel); /* who looks at the run that computes waits for this */
    }
}

static void before_resume(struct vm *vm, uint64_t now_us)
{
    struct executor *e = vm->owner;

    if (now_us - e->flushed_us > FLUSH_AFTER_US) {
        e->flushed_us = now_us;
        runs_tell_started(&e->runs);
        if (channel_is_sending(e->channel)) {
            channel_flush(e->channel);
        }
    }
}

/* Its outcome is not sent yet: quitting is for act(). */
static void on_emptied(struct runs *rs)
{
    struct executor *e = rs->vm->owner;

    if (e->is_quitting) {
        uv_idle_start(&e->actor, on_idle);
    }
}

static int take(struct executor *e, struct frame *f)
{
    struct wire_run run;
    struct wire_stop stop;
    struct wire_look look;
    int status = 0;

    switch (f->type) {
    case WIRE_CONFIG: return configure(e, f);
    case WIRE_RUN:
        status = wire_get_run(f, &run);
        return status == 0 ? runs_add(&e->runs, &run) : status;
    case WIRE_STOP:
        status = wire_get_stop(f, &stop);
        return status == 0 ? runs_stop(&e->runs, &stop) : status;
    case WIRE_LOOK:
        status = wire_get_look(f, &look);
        if (status == 0) {
            runs_look(&e->runs, &look);
        }
        return status;
    case WIRE_QUIT: e->is_quitting = true; return 0;
    default: return -EBADMSG;
    }
}

static int configure(struct executor *e, struct frame *f)
{
    struct buffer *out = channel_out(e->channel);
    struct buffer error = {0};
    struct wire_config config;
    int status = wire_get_config(f, &config);

    if (status != 0 || e->is_loaded) {
        return -EBADMSG;
    }
    e->is_loaded = true;
    log_configure((enum log_level)config.log_level, (enum log_format)config.log_format);
    status = handlers_load(&e->handlers, &e->vm, &config, out, &error);
    if (status == 0) {
        wire_put_plain(out, WIRE_LOADED);
    } else {
        wire_put_load_failed(out, &(struct wire_load_failed){buffer_slice(&error)});
    }
    buffer_fini(&error);
    channel_send(e->channel);
    return 0;
}

static void act(struct executor *e)
{
    uv_idle_stop(&e->actor); /* first: mail that comes in meanwhile starts it again */
    if (runs_act(&e->runs)) {
        uv_idle_start(&e->actor, on_idle);
    }
    if (e->is_quitting && e->runs.count == 0) {
        uv_stop(&e->loop);
    }
}

/* The supervisor takes what we have to say, or is gone. */
static void say_last_word(struct executor *e)
{
    struct pollfd fd = {.fd = EXECUTOR_CHANNEL_FD, .events = POLLOUT};

    channel_flush(e->channel);
    while (channel_is_sending(e->channel) && poll(&fd, 1, LAST_WORD_MS) > 0 &&
           (fd.revents & (POLLERR | POLLHUP)) == 0) {
        channel_flush(e->channel);
    }
}

static void close_all(struct executor *e)
{
    channel_close(e->channel);
    uv_close((uv_handle_t *)&e->actor, NULL);
    runs_close(&e->runs);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    runs_fini(&e->runs);
    handlers_fini(&e->handlers);
    vm_close(&e->vm);
    uv_run(&e->loop, UV_RUN_NOWAIT);
    uv_loop_close(&e->loop);
}
