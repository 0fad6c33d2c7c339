/* watch.h - says when something in the handlers' folders has changed: --watch. */
#ifndef CORE_APP_WATCH_H
#define CORE_APP_WATCH_H

#include <uv.h>

#include "core/base/slice.h"

struct watch;

typedef void (*watch_changed_fn)(void *owner);

/*
 * Watches folders with all their sub-folders, and single files; each path ends with a newline.
 * Editors write in several steps: changed() comes once they have been quiet for a moment.
 */
struct watch *watch_open(uv_loop_t *loop,
                         struct slice paths,
                         watch_changed_fn changed,
                         void *owner);

void watch_close(struct watch *w);

#endif
