/*
 * watch.c - inotify does not look into sub-folders, so each folder has a watch of its own. A file is
 * watched by its folder: editors replace files, and modules lie beside them.
 */
#include "core/app/watch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/log.h"
#include "core/base/mem.h"

#define QUIET_MS     100u
#define RETRY_MS     500u /* until a path that is gone is looked for again */
#define MAX_DEPTH    8
#define LONGEST_PATH 4096

struct place {
    uv_fs_event_t event;
    struct watch *watch; /* NULL once closed */
    struct place *next;
};

struct watch {
    uv_loop_t *loop;
    char *paths; /* owned; one a line */
    watch_changed_fn changed;
    void *owner;
    struct place *places; /* a list; freed as their handles close */
    uv_timer_t quiet;
    bool has_changed;
    bool is_missing; /* one of the paths is not there */
};

static void look(struct watch *w);
static void add_argument(struct watch *w, char *path);
static void add_folder(struct watch *w, const char *path, int depth);
static void add(struct watch *w, const char *path);
static void on_event(uv_fs_event_t *event, const char *name, int events, int status);
static void on_quiet(uv_timer_t *timer);
static void on_place_closed(uv_handle_t *handle);
static void on_closed(uv_handle_t *handle);
static void forget(struct watch *w);

struct watch *watch_open(uv_loop_t *loop, struct slice paths, watch_changed_fn changed, void *owner)
{
    struct watch *w = mem_zalloc(sizeof(*w));

    w->loop = loop;
    w->paths = mem_copy(paths.data, paths.size);
    w->changed = changed;
    w->owner = owner;
    uv_timer_init(loop, &w->quiet);
    w->quiet.data = w;
    look(w);
    return w;
}

void watch_close(struct watch *w)
{
    forget(w);
    uv_close((uv_handle_t *)&w->quiet, on_closed);
}

static void look(struct watch *w)
{
    w->is_missing = false;
    for (const char *at = w->paths; *at != 0;) {
        const char *end = strchr(at, '\n');
        size_t size = end == NULL ? strlen(at) : (size_t)(end - at);
        char *path = mem_copy(at, size);
        add_argument(w, path);
        free(path);
        at += size + (end == NULL ? 0 : 1);
    }
}

static void add_argument(struct watch *w, char *path)
{
    struct stat found;
    char *slash = strrchr(path, '/');

    if (stat(path, &found) < 0) {
        w->is_missing = true;
    } else if (S_ISDIR(found.st_mode)) {
        add_folder(w, path, 0);
    } else if (slash == NULL) {
        add(w, ".");
    } else {
        slash[slash == path ? 1 : 0] = 0;
        add(w, path);
    }
}

static void add(struct watch *w, const char *path)
{
    struct place *p = mem_zalloc(sizeof(*p));

    uv_fs_event_init(w->loop, &p->event);
    p->event.data = p;
    p->watch = w;
    p->next = w->places;
    w->places = p;
    int rc = uv_fs_event_start(&p->event, on_event, path, 0);
    if (rc < 0) {
        log_warn("cannot watch", LOG_TEXT("path", path), LOG_TEXT("error", uv_strerror(rc)));
    }
}

static void add_folder(struct watch *w, const char *path, int depth)
{
    add(w, path);
    DIR *folder = depth < MAX_DEPTH ? opendir(path) : NULL;
    if (folder == NULL) {
        return; /* gone again, or too deep to be meant */
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            char inner[LONGEST_PATH];
            (void)snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
            add_folder(w, inner, depth + 1);
        }
    }
    closedir(folder);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    const struct place *p = event->data;

    (void)name;
    (void)events;
    (void)status;
    p->watch->has_changed = true;
    uv_timer_start(&p->watch->quiet, on_quiet, QUIET_MS, 0);
}

/* Folders may have come and gone: look afresh, then tell. */
static void on_quiet(uv_timer_t *timer)
{
    struct watch *w = timer->data;
    bool was_missing = w->is_missing;

    forget(w);
    look(w);
    if (w->is_missing) {
        uv_timer_start(&w->quiet, on_quiet, RETRY_MS, 0);
    }
    if (w->has_changed || was_missing != w->is_missing) {
        w->has_changed = false;
        w->changed(w->owner);
    }
}

static void forget(struct watch *w)
{
    struct place *next;

    for (struct place *p = w->places; p != NULL; p = next) {
        next = p->next;
        uv_close((uv_handle_t *)&p->event, on_place_closed);
    }
    w->places = NULL;
}

static void on_place_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;

    free(w->paths);
    free(w);
}
